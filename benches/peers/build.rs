//! leveldb's cache is included if its header is installed.

use std::path::Path;

fn main() {
    println!("cargo:rustc-check-cfg=cfg(leveldb)");
    println!("cargo:rerun-if-changed=src/leveldb.cc");
    if Path::new("/usr/include/leveldb/cache.h").exists() {
        cc::Build::new()
            .cpp(true)
            .std("c++17")
            .file("src/leveldb.cc")
            .compile("peers_leveldb");
        println!("cargo:rustc-link-lib=leveldb");
        println!("cargo:rustc-cfg=leveldb");
    }
}
