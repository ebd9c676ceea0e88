//! Where the nats-server program is.

use super::ServerError;
use std::{
    env,
    path::{Path, PathBuf},
};

const PROGRAM: &str = "nats-server";

/// The program: the named one, else `KEFU_NATS_SERVER`, else the first in `PATH`, else `.tools/bin` under the current
/// directory or above the executable (a checkout's own copy).
pub fn find_nats_server(named: Option<&Path>) -> Result<PathBuf, ServerError> {
    let named = named.map(Path::to_owned).or_else(|| env::var_os("KEFU_NATS_SERVER").map(PathBuf::from));
    if let Some(program) = named {
        // A program that was named and is not there is an error, not a reason to take another one.
        return match is_program(&program) {
            true => Ok(program),
            false => Err(ServerError::NotFound { looked: format!("{} is no program", program.display()) }),
        };
    }
    let in_path = env::var_os("PATH").unwrap_or_default();
    let in_path = env::split_paths(&in_path).map(|directory| directory.join(PROGRAM)).collect::<Vec<_>>();
    let tools = |directory: &Path| directory.join(".tools/bin").join(PROGRAM);
    let here = env::current_dir().ok();
    let executable = env::current_exe().ok();
    let above = executable.iter().flat_map(|path| path.ancestors().skip(1));
    let local = here.as_deref().into_iter().chain(above).map(tools);
    in_path
        .into_iter()
        .chain(local)
        .find(|path| is_program(path))
        .ok_or_else(|| ServerError::NotFound { looked: "not in PATH, not in .tools/bin".into() })
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
