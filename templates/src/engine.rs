//! The template engine, set up to behave like LAVA's Jinja2.

use crate::{
    error::{Error, ErrorKind},
    filters, python,
};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error as EngineError, Output, State, UndefinedBehavior};
use std::sync::{Arc, Mutex, PoisonError};

/// Instructions one device may run; those of LAVA 2026.07 need 2,500 at most. Few enough, too, that
/// no loop can nest a value so deep that dropping it overflows the stack.
const FUEL: u64 = 20_000;

/// Nested blocks, includes and macro calls.
const MAX_DEPTH: usize = 200;

/// Containers that were printed with a value in them that nobody set.
pub(crate) type Unset = Arc<Mutex<Vec<String>>>;

/// An engine without templates; what it notices while printing goes to `unset`.
pub(crate) fn new(unset: Unset) -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .build()
        .map_err(|error| Error::from_engine(&error))?;
    environment.set_syntax(syntax);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_undefined_behavior(UndefinedBehavior::Lenient);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(MAX_DEPTH);
    environment.set_auto_reload(false);
    // Names the undefined variable in errors; costs nothing unless there is one.
    environment.set_debug(true);
    // Jinja2 has no such global, and device types have variables of that name.
    environment.remove_global("debug");
    environment.set_unknown_method_callback(call_method);
    environment.set_formatter(move |out, _state, value| print(out, value, &unset));
    filters::register(&mut environment);
    Ok(environment)
}

fn call_method(
    state: &mut State<'_, '_>,
    value: &Value,
    method: &str,
    arguments: &[Value],
) -> Result<Value, EngineError> {
    minijinja_contrib::pycompat::unknown_method_callback(state, value, method, arguments)
}

fn print(out: &mut Output<'_>, value: &Value, unset: &Unset) -> Result<(), EngineError> {
    if let Some(text) = value.as_str() {
        return Ok(out.write_str(text)?);
    }
    if value.kind() == ValueKind::Undefined {
        return Ok(());
    }
    let printed = python::to_str(value).map_err(too_deep)?;
    out.write_str(&printed.text)?;
    if printed.has_unset {
        let mut unset = unset.lock().unwrap_or_else(PoisonError::into_inner);
        if !unset.contains(&printed.text) {
            unset.push(printed.text);
        }
    }
    Ok(())
}

/// `str(value)` of Python.
pub(crate) fn python_text(value: &Value) -> Result<String, EngineError> {
    Ok(python::to_str(value).map_err(too_deep)?.text)
}

fn too_deep(_: python::TooDeep) -> EngineError {
    Error::new(ErrorKind::Limit, "a value is nested too deep to be printed").into()
}
