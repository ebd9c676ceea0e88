# shellcheck shell=bash
# What the other scripts share. Sourced, not run.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TOOLS=$ROOT/.tools

# One folder for all clones and worktrees of one user: RocksDB takes 10 to 20 minutes to compile, and is compiled once.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/kefu/target}
[[ $CARGO_TARGET_DIR == /* ]] || CARGO_TARGET_DIR=$PWD/$CARGO_TARGET_DIR
export KEFU_NATS_SERVER=${KEFU_NATS_SERVER:-$TOOLS/bin/nats-server}
export KEFU_TEST_PYTHON=${KEFU_TEST_PYTHON:-$TOOLS/venv/bin/python}
export KEFU_MODELS=${KEFU_MODELS:-${XDG_CACHE_HOME:-$HOME/.cache}/kefu/models}
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

# Measured: 37 CPU minutes from nothing to the tests' start, 30 of them RocksDB; 343 object files of C++.
readonly COLD_BUILD_CPU_MINUTES=37 ROCKSDB_OBJECTS=343

say() { printf '==> %s\n' "$*" >&2; }

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Prints the text at the top of a script, up to the first line that is no comment.
print_help() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$1"; }

has() { command -v "$1" >/dev/null 2>&1; }

cores() { nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2; }

rocksdb_is_built() { compgen -G "$CARGO_TARGET_DIR/release/build/librocksdb-sys-*/output" >/dev/null; }

# RocksDB compiles in silence for many minutes; this says every half minute how far it is. Ends by itself.
watch_rocksdb() {
  local started=$SECONDS objects
  while sleep 30 >/dev/null 2>&1 && ! rocksdb_is_built; do
    objects=$(find "$CARGO_TARGET_DIR"/release/build/librocksdb-sys-*/out -name '*.o' 2>/dev/null | wc -l)
    if ((objects > 0)); then
      say "RocksDB: $((objects < ROCKSDB_OBJECTS ? objects : ROCKSDB_OBJECTS)) of $ROCKSDB_OBJECTS files compiled after $(((SECONDS - started) / 60)) min"
    fi
  done
}

# Runs a cargo command. Where RocksDB is not compiled yet, says how long it takes and how far it is.
cargo_build() {
  if rocksdb_is_built; then
    "$@"
    return
  fi
  say "first build: about $((COLD_BUILD_CPU_MINUTES / $(cores) + 1)) minutes on $(cores) cores, most of it RocksDB, into $CARGO_TARGET_DIR"
  watch_rocksdb &
  local watcher=$! status=0
  "$@" || status=$?
  kill "$watcher" 2>/dev/null || true
  return "$status"
}
