#!/bin/sh
# Cargo's RUSTC_WORKSPACE_WRAPPER: the crate and its tests have planted faults; what they depend on is built once for all.
exec "$@" --cfg 'larder_planted="chosen"'
