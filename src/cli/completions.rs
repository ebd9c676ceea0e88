//! `kefu completions`: what a shell needs to complete kefu's commands.

use super::{Cli, error::CliError};
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::io::Write;

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kefu completions bash > ~/.local/share/bash-completion/completions/kefu
  kefu completions zsh  > ~/.zfunc/_kefu
  kefu completions fish > ~/.config/fish/completions/kefu.fish")]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Result<(), CliError> {
        // Through memory: the generator panics where the reader has gone.
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "kefu", &mut text);
        Ok(std::io::stdout().write_all(&text)?)
    }
}
