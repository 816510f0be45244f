//! Parameters of queries: values are bound as literals and never parsed as SQL.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr, Value, VisitMut as _, VisitorMut};
use whence_queries::Param;

use crate::{Error, Result};

/// The value of each parameter: as given, else its default.
pub(in crate::commands) fn values(
    params: &[Param],
    given: &[(String, String)],
) -> Result<Vec<(String, Value)>> {
    let unknown = |name: &String| params.iter().all(|param| param.name != *name);
    if let Some((name, _)) = given.iter().find(|(name, _)| unknown(name)) {
        let known: Vec<&str> = params.iter().map(|p| p.name.as_str()).collect();
        return Err(Error::Usage(match known.is_empty() {
            true => format!("the query has no parameter {name}; it has none"),
            false => format!(
                "the query has no parameter {name}; it has {}",
                known.join(", ")
            ),
        }));
    }
    let value = |param: &Param| {
        let text = given
            .iter()
            .rfind(|(name, _)| *name == param.name)
            .map_or(param.default.as_str(), |(_, value)| value);
        Ok((param.name.clone(), literal(param, text)?))
    };
    params.iter().map(value).collect()
}

/// A text as a literal of the type that the parameter's default has. It is
/// never parsed as SQL.
fn literal(param: &Param, text: &str) -> Result<Value> {
    if !param.is_number() {
        return Ok(Value::SingleQuotedString(text.to_owned()));
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Value::Number(text.to_owned(), false)),
        _ => Err(Error::Usage(format!(
            "parameter {} must be a number, not {text:?}",
            param.name
        ))),
    }
}

/// Puts values in the place of placeholders such as `$name`.
pub(in crate::commands) fn bind(
    statements: &mut [Statement],
    values: &[(String, Value)],
) -> Result<()> {
    let mut binder = Binder { values };
    for statement in statements {
        let mut statement = statement;
        while let Statement::Explain(explain) = statement {
            statement = explain.statement.as_mut();
        }
        if let Statement::Statement(statement) = statement
            && let ControlFlow::Break(name) = statement.visit(&mut binder)
        {
            return Err(Error::Usage(format!(
                "{name} has no value; declare it in the query by a line \
                 `-- param: {} = DEFAULT`",
                name.trim_start_matches('$')
            )));
        }
    }
    Ok(())
}

struct Binder<'a> {
    values: &'a [(String, Value)],
}

impl VisitorMut for Binder<'_> {
    type Break = String;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<String> {
        let Expr::Value(value) = expr else {
            return ControlFlow::Continue(());
        };
        let Value::Placeholder(placeholder) = &value.value else {
            return ControlFlow::Continue(());
        };
        let name = placeholder.trim_start_matches('$');
        match self.values.iter().find(|(known, _)| known == name) {
            Some((_, bound)) => {
                value.value = bound.clone();
                ControlFlow::Continue(())
            }
            None => ControlFlow::Break(placeholder.clone()),
        }
    }
}
