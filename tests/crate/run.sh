#!/bin/sh
# The crate in Rust projects: the package that would be published, beside the newest crates; each set of features; and
# the oldest and the newest version of each dependency that Cargo.toml allows. Runs every step, even after failures, and
# prints the counts at the end.
set -eu
cd "$(dirname "$0")/../.."
out=$PWD/target/crate-test
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
nightly=''
if cargo +nightly --version >/dev/null 2>&1; then nightly=+nightly; fi
. tests/tools/steps.sh

# ---- the package, in a project ----

# The project below builds it.
package() {
    cargo package --quiet --allow-dirty --no-verify --target-dir "$out" || return 1
    rm -rf "$out/larder-$version" && tar -xzf "$out/package/larder-$version.crate" -C "$out"
}

# The project's versions are the newest; without a network, the newest on this machine.
make_project() {
    mkdir -p "$out/user"
    cp tests/crate/user.rs "$out/user/"
    sed "s|\"../..\"|\"$out/larder-$version\"|" tests/crate/Cargo.toml >"$out/user/Cargo.toml"
    rm -f "$out/user/Cargo.lock"
    (cd "$out/user" && cargo generate-lockfile || cargo generate-lockfile --offline)
}

run_project() { (cd "$out/user" && cargo $1 run --target-dir "$out/user-target$1" $2); }

# ---- features ----

clean() { cargo $1 clippy --quiet --lib --no-default-features --features "$2" --target-dir "$3" -- -D warnings; }

# ---- versions of dependencies ----

in_crate() { (cd "$out/$1" && shift && LARDER_MODEL_OPS=0.1 cargo "$@"); }

# choose VERSIONS FLAG...: the crate without the benchmarks' dependencies, with those versions
choose() {
    sh tests/tools/testcrate.sh "$out/$1" || return 1
    versions=$1
    shift
    (export RUSTC_BOOTSTRAP=1 && in_crate $versions update "$@") && in_crate $versions tree --depth 1
}

# The link of the C archive shows that hashbrown's growing path is dead code.
links() {
    in_crate "$1" rustc --quiet --release --lib --crate-type staticlib --features capi --target-dir "$out/target-$1" &&
        sh tests/tools/onelib.sh "$out/target-$1/release/liblarder.a" "$out/lib-$1" "$version"
}

# ---- all of it ----

step 'the package is made' package
step 'a project with the newest crates' make_project
step 'their collections live in arena and pool' run_project '' ''
if [ -n "$nightly" ]; then
    step 'so do those of the standard library' run_project $nightly '--features nightly'
    step 'features: nightly' clean $nightly nightly target/nightly
else
    skip 'the standard library in arena and pool: no nightly compiler (rustup toolchain install nightly)'
fi
for features in '' alloc spin hosted alloc,hosted alloc,serde spin,small; do
    step "features: ${features:-none}" clean '' "$features" target
done

for versions in oldest newest; do
    flag=''
    [ $versions = newest ] || flag='-Z direct-minimal-versions'
    step "$versions versions" choose $versions $flag
    tests='--lib --test allocator --test limit --test model'
    step "$versions versions: tests" in_crate $versions test --target-dir "$out/target-$versions" $tests
    step "$versions versions: the C archive neither panics nor allocates" links $versions
done

close crate
