//! What a condition may contain.
//!
//! Rules come from a tenant's administrator and are read for every tenant on the node. So a condition has no way to make
//! anything larger than what it was given (nothing joins texts or builds lists out of lists), its loops go over the tags or
//! over a list that is written out, and the number of steps that it can take at most is counted before it is accepted.
//!
//! Mistakes that can be seen without a customer are found here too, with their place: names, functions, patterns.

use super::{VARIABLES, expression::pattern_steps};
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue};

/// Steps that a condition may take. A step is a microsecond or less.
pub(super) const MAX_STEPS: u64 = 5_000;
/// As deep as expressions may nest: what a person still reads. It bounds the stack, too.
const MAX_DEPTH: usize = 24;
/// Tags that a conversation can have, for counting.
pub(super) const TAGS: u64 = 50;
/// Steps for searching a long text for a word.
const SEARCH_STEPS: u64 = 5;

/// Operators, with what stands for them. What joins (`+`) is not among them.
const OPERATORS: [&str; 16] = [
    "_?_:_", "_&&_", "_||_", "!_", "_-_", "_*_", "_/_", "_%_", "_==_", "_!=_", "_>=_", "_<=_", "_>_", "_<_", "-_",
    "@in",
];

/// Functions that are called on a text, and how many arguments they take.
const METHODS: [(&str, usize); 6] =
    [("contains", 1), ("startsWith", 1), ("endsWith", 1), ("matches", 1), ("lowerAscii", 0), ("size", 0)];

/// Functions of one argument that are called by their names.
const FUNCTIONS: [&str; 4] = ["size", "int", "double", "string"];

/// Something that a condition may not contain, and the node that it is at.
pub(super) type Found = (u64, String);

/// The steps that an expression takes at most, if it may be used.
pub(super) fn steps(expression: &IdedExpr) -> Result<u64, Found> {
    let steps = Walk::default().walk(expression)?;
    if steps > MAX_STEPS {
        let message =
            format!("takes up to {steps} steps where {MAX_STEPS} are allowed: shorten its lists or its loops");
        return Err((expression.id, message));
    }
    Ok(steps)
}

#[derive(Default)]
struct Walk<'e> {
    depth: usize,
    /// Names that loops around here give to what they look at.
    names: Vec<&'e str>,
}

impl<'e> Walk<'e> {
    fn walk(&mut self, expression: &'e IdedExpr) -> Result<u64, Found> {
        if self.depth == MAX_DEPTH {
            return Err((expression.id, format!("is nested more than {MAX_DEPTH} deep")));
        }
        self.depth += 1;
        let inside = self.node(expression)?;
        self.depth -= 1;
        Ok(inside.saturating_add(1))
    }

    fn all(&mut self, expressions: &'e [IdedExpr]) -> Result<u64, Found> {
        expressions.iter().try_fold(0, |steps: u64, inner| Ok(steps.saturating_add(self.walk(inner)?)))
    }

    fn node(&mut self, expression: &'e IdedExpr) -> Result<u64, Found> {
        let refused = |message: &str| Err((expression.id, message.to_owned()));
        match &expression.expr {
            Expr::Literal(_) => Ok(0),
            Expr::Ident(name) if self.knows(name) => Ok(0),
            Expr::Ident(name) => {
                Err((expression.id, format!("{name:?} is not known; there are: {}", VARIABLES.join(", "))))
            }
            Expr::Select(select) => {
                if let Expr::Ident(of) = &select.operand.expr {
                    self.check_field(expression.id, of, &select.field)?;
                }
                self.walk(&select.operand)
            }
            Expr::List(list) => self.all(&list.elements),
            Expr::Call(call) => self.call(expression.id, call),
            Expr::Comprehension(loops) => self.comprehension(loops),
            Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => {
                refused("only texts, numbers and lists can be written out")
            }
        }
    }

    fn knows(&self, name: &str) -> bool {
        // What a loop collects is named so that nobody can write it.
        VARIABLES.contains(&name) || self.names.contains(&name) || name.starts_with('@')
    }

    fn check_field(&self, at: u64, of: &str, field: &str) -> Result<(), Found> {
        if self.names.contains(&of) || !VARIABLES.contains(&of) {
            return Ok(());
        }
        match of {
            "collected" | "metadata" => Ok(()),
            "sender" if matches!(field, "id" | "name") => Ok(()),
            "sender" => Err((at, format!("sender has no {field:?}, only id and name"))),
            _ => Err((at, format!("{of} has no fields"))),
        }
    }

    fn call(&mut self, at: u64, call: &'e CallExpr) -> Result<u64, Found> {
        let name = call.func_name.as_str();
        let arguments = self.all(&call.args)?;
        let own = match &call.target {
            Some(target) => {
                let own = method_steps(at, call)?;
                own.saturating_add(self.walk(target)?)
            }
            None if OPERATORS.contains(&name) || name == "@not_strictly_false" => SEARCH_STEPS,
            // An index, which the operators' table leaves out because it has its own notation.
            None if name == "_[_]" => 1,
            None if FUNCTIONS.contains(&name) && call.args.len() == 1 => SEARCH_STEPS,
            None if FUNCTIONS.contains(&name) => return Err((at, format!("{name} takes one argument"))),
            None if name == "_+_" && is_collecting(call) => {
                return Err((at, "there is no map in conditions: filter, exists and all do without".to_owned()));
            }
            None if name == "_+_" => return Err((at, "nothing can be added up or joined in a condition".to_owned())),
            None => return Err((at, unknown(name))),
        };
        Ok(own.saturating_add(arguments))
    }

    fn comprehension(&mut self, loops: &'e ComprehensionExpr) -> Result<u64, Found> {
        let rounds = rounds(&loops.iter_range)?;
        let before = self.all(std::slice::from_ref(&loops.iter_range))?.saturating_add(self.walk(&loops.accu_init)?);
        self.names.push(&loops.iter_var);
        // `filter` puts what it keeps into a list by joining two: that one way to join is the library's own.
        let step = match filtered(&loops.loop_step) {
            Some((condition, kept)) => self.walk(condition)?.saturating_add(self.walk(kept)?).saturating_add(1),
            None => self.walk(&loops.loop_step)?,
        };
        let each = step.saturating_add(self.walk(&loops.loop_cond)?);
        let exists_one = is_counting(&loops.result);
        let after = if exists_one { 1 } else { self.walk(&loops.result)? };
        self.names.pop();
        Ok(rounds.saturating_mul(each).saturating_add(before).saturating_add(after))
    }
}

/// The steps that a function of a text takes, if it may be called so.
fn method_steps(at: u64, call: &CallExpr) -> Result<u64, Found> {
    let name = call.func_name.as_str();
    let Some((_, count)) = METHODS.iter().find(|(known, _)| *known == name) else {
        return Err((at, unknown(name)));
    };
    if call.args.len() != *count {
        return Err((at, format!("{name} takes {count} arguments, not {}", call.args.len())));
    }
    match call.args.first() {
        Some(argument) if name == "matches" => match &argument.expr {
            Expr::Literal(LiteralValue::String(pattern)) => {
                pattern_steps(pattern.inner()).map_err(|error| (argument.id, error.to_string()))
            }
            _ => Err((argument.id, "a pattern is written out, so that it can be checked".to_owned())),
        },
        _ => Ok(SEARCH_STEPS),
    }
}

/// How often a loop over this goes round.
fn rounds(range: &IdedExpr) -> Result<u64, Found> {
    match &range.expr {
        Expr::Ident(name) if name == "tags" => Ok(TAGS),
        Expr::List(list) => Ok(list.elements.len() as u64),
        Expr::Comprehension(inner) if filtered(&inner.loop_step).is_some() => rounds(&inner.iter_range),
        _ => Err((range.id, "a loop goes over tags, or over a list that is written out".to_owned())),
    }
}

/// The parts of a loop's step that adds to what it collects: `condition ? collected + [kept] : collected`, which is how
/// `filter` and `exists_one` are written out. `None` for other loops.
fn filtered(step: &IdedExpr) -> Option<(&IdedExpr, &IdedExpr)> {
    let Expr::Call(choice) = &step.expr else { return None };
    let [condition, joined, _] = choice.args.as_slice() else { return None };
    let Expr::Call(join) = &joined.expr else { return None };
    let [collected, kept] = join.args.as_slice() else { return None };
    let is_collected = matches!(&collected.expr, Expr::Ident(name) if name.starts_with('@'));
    let is_kept = match &kept.expr {
        Expr::List(list) => matches!(list.elements.as_slice(), [IdedExpr { expr: Expr::Ident(_), .. }]),
        Expr::Literal(_) => true,
        _ => false,
    };
    (choice.func_name == "_?_:_" && join.func_name == "_+_" && is_collected && is_kept).then_some((condition, kept))
}

fn is_collecting(join: &CallExpr) -> bool {
    matches!(join.args.first().map(|first| &first.expr), Some(Expr::Ident(name)) if name.starts_with('@'))
}

fn is_counting(result: &IdedExpr) -> bool {
    matches!(&result.expr, Expr::Call(call) if call.func_name == "_==_")
}

fn unknown(function: &str) -> String {
    let methods = METHODS.map(|(name, _)| name).join(", ");
    let function = function.trim_matches(|c: char| !c.is_alphanumeric());
    format!(
        "there is no {function:?} in conditions; there are: {methods}, {}, has, all, exists, exists_one, filter",
        FUNCTIONS.join(", ")
    )
}
