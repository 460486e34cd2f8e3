#!/bin/sh
# Cargo's RUSTC_WORKSPACE_WRAPPER: adds planted faults to the crate and its tests. Their dependencies are built once.
exec "$@" --cfg 'larder_planted="chosen"'
