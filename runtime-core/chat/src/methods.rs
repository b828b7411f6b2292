//! Methods of texts, lists and maps as in Python, charged. Methods that change a value are refused,
//! as they are by the sandbox that transformers uses.

use minijinja::{Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat;

use crate::budget::Budget;
use crate::filters::cost;

const CHANGING: [&str; 12] = [
    "append",
    "clear",
    "extend",
    "insert",
    "pop",
    "popitem",
    "remove",
    "reverse",
    "setdefault",
    "sort",
    "update",
    "add",
];

/// Calls `value.method(args)`.
pub(crate) fn call(
    state: &mut State<'_, '_>,
    value: &Value,
    method: &str,
    args: &[Value],
    budget: &Budget,
) -> Result<Value, Error> {
    if CHANGING.contains(&method) {
        let text = format!("method `{method}` changes a value, which templates may not do");
        return Err(Error::new(ErrorKind::InvalidOperation, text));
    }
    let mut all = Vec::with_capacity(args.len().saturating_add(1));
    match (method, args.first()) {
        // `separator.join(items)`: the filter has its arguments the other way round.
        ("join", Some(items)) => all.extend([items.clone(), value.clone()]),
        _ => {
            all.push(value.clone());
            all.extend_from_slice(args);
        }
    }
    budget.charge(cost(method, &all)?)?;
    pycompat::unknown_method_callback(state, value, method, args)
}
