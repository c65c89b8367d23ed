//! Conditions that can be told without an engine: facts that are compared with each other and with constants.
//!
//! Most norms hold for few calls, and asking Cedar costs about a microsecond for each of them. So the conditions of a policy are read
//! once, from the form in JSON that Cedar gives them, and told in nanoseconds. What they say beyond what is understood here leaves them
//! untold, and Cedar is asked. It knows no norm and no fact by name.
//!
//! INVARIANT: what is told here, Cedar says as well, and without an error (a property test asks both).

use cedar_policy::RestrictedExpression;
use serde_json::{Map, Value as Json};
use std::collections::BTreeSet;
use std::sync::Arc;

#[cfg(test)]
mod tests;

/// How deep an expression may be nested; a deeper one is left to Cedar.
const DEPTH_MAX: usize = 64;

/// A fact or a constant, as Cedar has it.
#[derive(Clone, Copy)]
pub(crate) enum Value<'a> {
    Bool(bool),
    Long(i64),
    Text(&'a str),
    Words(&'a BTreeSet<Arc<str>>),
}

impl From<Value<'_>> for RestrictedExpression {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Bool(value) => Self::new_bool(value),
            Value::Long(value) => Self::new_long(value),
            Value::Text(text) => Self::new_string(text.to_owned()),
            Value::Words(words) => Self::new_set(words.iter().map(|word| Self::new_string(word.as_ref().to_owned()))),
        }
    }
}

/// How a fact is taken from facts of type `F`.
pub(crate) type Fact<F> = fn(&F) -> Value<'_>;

/// What a policy says of facts of type `F`.
pub(crate) struct Condition<F> {
    /// Whether the policy applies to every principal and every resource, as far as its scope goes.
    is_open: bool,
    /// Its `when` and `unless`, all of which have to hold.
    clauses: Vec<Expression<F>>,
}

enum Expression<F> {
    Bool(bool),
    Long(i64),
    Text(Box<str>),
    Fact(Fact<F>),
    CallerIsAgent,
    Not(Box<Self>),
    Pair(Operator, Box<[Self; 2]>),
    /// Only Cedar can tell.
    Untold,
}

#[derive(Clone, Copy)]
enum Operator {
    And,
    Or,
    Equal,
    Less,
    LessOrEqual,
    Contains,
}

impl<F> Condition<F> {
    /// Reads a policy in Cedar's JSON format that was filed under the actions which its scope names. `find` knows the facts by
    /// their path below `context`.
    pub(crate) fn of(policy: &Json, find: fn(&[&str]) -> Option<Fact<F>>) -> Self {
        let clauses = policy["conditions"].as_array().into_iter().flatten().map(|clause| {
            let body = Expression::of(&clause["body"], find, DEPTH_MAX);
            match clause["kind"].as_str() {
                Some("when") => body,
                Some("unless") => Expression::Not(Box::new(body)),
                Some(_) | None => Expression::Untold,
            }
        });
        Self { is_open: ["principal", "resource"].iter().all(|scope| policy[scope]["op"] == "All"), clauses: clauses.collect() }
    }

    /// Whether the policy holds for these facts; `None` when only Cedar can tell.
    pub(crate) fn holds(&self, facts: &F, is_agent: bool) -> Option<bool> {
        let mut all = true;
        for clause in &self.clauses {
            all &= clause.is_true(facts, is_agent)?;
        }
        (self.is_open || !all).then_some(all)
    }
}

impl<F> Expression<F> {
    fn of(json: &Json, find: fn(&[&str]) -> Option<Fact<F>>, depth_left: usize) -> Self {
        Self::read(json, find, depth_left).unwrap_or(Self::Untold)
    }

    fn read(json: &Json, find: fn(&[&str]) -> Option<Fact<F>>, depth_left: usize) -> Option<Self> {
        let depth_left = depth_left.checked_sub(1)?;
        let (operator, operands) = only(json.as_object()?)?;
        let side = |name: &str| Self::of(&operands[name], find, depth_left);
        let pair = |operator| Self::Pair(operator, Box::new([side("left"), side("right")]));
        let not = |inner| Self::Not(Box::new(inner));
        Some(match operator {
            "Value" => match operands {
                Json::Bool(value) => Self::Bool(*value),
                Json::Number(number) => Self::Long(number.as_i64()?),
                Json::String(text) => Self::Text(text.as_str().into()),
                Json::Null | Json::Array(_) | Json::Object(_) => return None,
            },
            "." => {
                let mut path = Vec::new();
                path_of(json, &mut path)?;
                Self::Fact(find(&path)?)
            }
            "is" if operands["left"]["Var"] == "principal" && operands.get("in").is_none() => {
                match operands["entity_type"].as_str()? {
                    "Agent" => Self::CallerIsAgent,
                    "Person" => not(Self::CallerIsAgent),
                    _ => return None,
                }
            }
            "!" => not(Self::of(&operands["arg"], find, depth_left)),
            "&&" => pair(Operator::And),
            "||" => pair(Operator::Or),
            "==" => pair(Operator::Equal),
            "!=" => not(pair(Operator::Equal)),
            "<" => pair(Operator::Less),
            "<=" => pair(Operator::LessOrEqual),
            ">" => not(pair(Operator::LessOrEqual)),
            ">=" => not(pair(Operator::Less)),
            "contains" => pair(Operator::Contains),
            _ => return None,
        })
    }

    fn is_true(&self, facts: &F, is_agent: bool) -> Option<bool> {
        match self.value(facts, is_agent)? {
            Value::Bool(value) => Some(value),
            Value::Long(_) | Value::Text(_) | Value::Words(_) => None,
        }
    }

    fn value<'a>(&'a self, facts: &'a F, is_agent: bool) -> Option<Value<'a>> {
        Some(match self {
            Self::Bool(value) => Value::Bool(*value),
            Self::Long(value) => Value::Long(*value),
            Self::Text(text) => Value::Text(text),
            Self::Fact(fact) => fact(facts),
            Self::CallerIsAgent => Value::Bool(is_agent),
            Self::Not(inner) => Value::Bool(!inner.is_true(facts, is_agent)?),
            // From left to right, and only as far as needed: what is not evaluated has no error.
            Self::Pair(Operator::And, sides) => {
                Value::Bool(sides[0].is_true(facts, is_agent)? && sides[1].is_true(facts, is_agent)?)
            }
            Self::Pair(Operator::Or, sides) => {
                Value::Bool(sides[0].is_true(facts, is_agent)? || sides[1].is_true(facts, is_agent)?)
            }
            Self::Pair(operator, sides) => {
                Value::Bool(compare(*operator, sides[0].value(facts, is_agent)?, sides[1].value(facts, is_agent)?)?)
            }
            Self::Untold => return None,
        })
    }
}

/// Compares what may be compared.
fn compare(operator: Operator, left: Value<'_>, right: Value<'_>) -> Option<bool> {
    match (operator, left, right) {
        (Operator::Equal, Value::Bool(left), Value::Bool(right)) => Some(left == right),
        (Operator::Equal, Value::Long(left), Value::Long(right)) => Some(left == right),
        (Operator::Equal, Value::Text(left), Value::Text(right)) => Some(left == right),
        (Operator::Less, Value::Long(left), Value::Long(right)) => Some(left < right),
        (Operator::LessOrEqual, Value::Long(left), Value::Long(right)) => Some(left <= right),
        (Operator::Contains, Value::Words(words), Value::Text(word)) => Some(words.contains(word)),
        _ => None,
    }
}

/// The name and the value of the only member.
fn only(members: &Map<String, Json>) -> Option<(&str, &Json)> {
    let mut members = members.iter();
    members.next().filter(|_| members.next().is_none()).map(|(name, value)| (name.as_str(), value))
}

/// The attributes that an expression takes from `context`, outermost first.
fn path_of<'a>(json: &'a Json, path: &mut Vec<&'a str>) -> Option<()> {
    match only(json.as_object()?)? {
        ("Var", variable) if variable == "context" => Some(()),
        (".", access) if path.len() < DEPTH_MAX => {
            path_of(&access["left"], path)?;
            path.push(access["attr"].as_str()?);
            Some(())
        }
        _ => None,
    }
}
