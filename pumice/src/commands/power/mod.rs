//! `pumice power`

mod models;
mod serve;
mod switch;

pub(crate) use switch::cycle;

use crate::{
    cli::{PowerArguments, PowerCommand},
    exit::{Exit, Stop},
};

pub(crate) fn main(arguments: &PowerArguments) -> Result<Exit, Stop> {
    use switch::Wish;
    match &arguments.command {
        PowerCommand::On(arguments) => switch::main(arguments, Wish::On),
        PowerCommand::Off(arguments) => switch::main(arguments, Wish::Off),
        PowerCommand::Cycle(arguments) => switch::main(arguments, Wish::Cycle),
        PowerCommand::Status(arguments) => switch::main(arguments, Wish::Status),
        PowerCommand::Serve(arguments) => serve::main(arguments),
        PowerCommand::Models(arguments) => models::main(arguments),
    }
}
