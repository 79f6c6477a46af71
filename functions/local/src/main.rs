//! `spanlake`: all roles in one process, SQL, and the operator's commands. Composition only: it chooses adapters,
//! parses flags and prints.

mod allocator;
mod check;
mod cli;
mod configuration;
mod demo;
mod folder;
mod front;
mod keep_all;
mod lake;
mod quarantine;
mod repair;
mod replay;
#[cfg(feature = "aws")]
mod rules;
mod runtime;
mod show;
mod site;
mod sql;
mod status;
mod terminal;
mod up;
mod verify;
mod waterfall;
mod why;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Demo(args) => show::demo(&args),
        Command::Up(args) => up::run(args).map(|()| ExitCode::SUCCESS),
        Command::Sql(args) => sql::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Trace(args) => waterfall::run(&args),
        Command::Why(args) => why::run(&args),
        Command::Check(args) => Ok(check::run(&args)),
        Command::Replay(args) => replay::run(&args),
        Command::Status(args) => status::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Verify(args) => Ok(verify::run(&args)),
        Command::Repair(args) => Ok(repair::run(&args)),
        #[cfg(feature = "aws")]
        Command::Rules { command } => rules::run(&command).map(|()| ExitCode::SUCCESS),
        #[cfg(not(feature = "aws"))]
        Command::Rules { .. } => Err(site::no_aws()),
        Command::KeepAll(args) => keep_all::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Quarantine(args) => quarantine::run(&args).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        terminal::fail(&error);
        ExitCode::FAILURE
    })
}
