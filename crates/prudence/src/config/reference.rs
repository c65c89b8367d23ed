//! The reference page of the settings, written from their schema.

use std::fmt::Write as _;

use serde_json::Value;

use super::shape::{resolve, type_of, words};

/// The page, in Markdown.
pub fn reference(schema: &Value) -> String {
    let mut page = String::from(
        "# Configuration\n\n\
         Prudence reads one TOML file, `prudence.toml` (`--config FILE`, or `PRUDENCE_CONFIG`). `prudence init` writes one to begin with, and\n\
         `prudence config check` reports everything that is wrong with it, each with its place. Unknown settings are refused. Paths are\n\
         seen from the file. `prudence config schema` prints the JSON Schema for editors.\n\n\
         This page is written from the settings themselves (`prudence config reference`).\n",
    );
    let top: Vec<(&String, &Value)> = schema["properties"].as_object().into_iter().flatten().collect();
    page.push_str("\n## At the top\n\n");
    table(&mut page, schema, top.iter().filter(|(_, value)| section(schema, value).is_none()).copied(), schema);
    for (name, value) in top {
        let Some(of) = section(schema, value) else { continue };
        let many = type_of(resolve(schema, value)) == Some("array");
        let (open, close) = if many { ("[[", "]]") } else { ("[", "]") };
        let _ = write!(page, "\n## `{open}{name}{close}`\n\n{}\n\n", value["description"].as_str().unwrap_or_default());
        if let Some(about) = of["description"].as_str().filter(|about| Some(*about) != value["description"].as_str()) {
            let _ = write!(page, "{about}\n\n");
        }
        let settings = || of["properties"].as_object().into_iter().flatten();
        table(&mut page, schema, settings().filter(|(_, value)| section(schema, value).is_none()), of);
        for (inner, value) in settings() {
            let Some(of) = section(schema, value) else { continue };
            let _ = write!(page, "\n### `[{name}.{inner}]`\n\n{}\n\n", value["description"].as_str().unwrap_or_default());
            if let Some(about) = of["description"].as_str().filter(|about| Some(*about) != value["description"].as_str()) {
                let _ = write!(page, "{about}\n\n");
            }
            table(&mut page, schema, of["properties"].as_object().into_iter().flatten(), of);
        }
    }
    page
}

/// The table that a property holds, or holds many of.
fn section<'s>(root: &'s Value, value: &'s Value) -> Option<&'s Value> {
    let value = resolve(root, value);
    let of = if type_of(value) == Some("array") { resolve(root, &value["items"]) } else { value };
    of["properties"].is_object().then_some(of)
}

fn table<'s>(page: &mut String, root: &'s Value, properties: impl Iterator<Item = (&'s String, &'s Value)>, of: &'s Value) {
    page.push_str("| setting | type | default | |\n|---|---|---|---|\n");
    for (name, value) in properties {
        let required = of["required"].as_array().is_some_and(|names| names.iter().any(|required| required == name));
        let default = if required {
            "required".to_owned()
        } else {
            match (&value["default"], &of["default"][name]) {
                (Value::Null, Value::Null) => "–".to_owned(),
                (Value::Null, default) | (default, _) => code(default),
            }
        };
        let sentence = value["description"].as_str().unwrap_or_default().replace('\n', " ");
        let _ = writeln!(
            page,
            "| `{name}` | {} | {default} | {sentence}{} |",
            kind(root, value),
            bounds(resolve(root, value), value)
        );
    }
}

fn code(default: &Value) -> String {
    match default {
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Object(items) if items.is_empty() => "none".to_owned(),
        Value::String(text) if text.is_empty() => "empty".to_owned(),
        other => format!("`{other}`"),
    }
}

fn kind(root: &Value, value: &Value) -> String {
    let value = resolve(root, value);
    if let Some(words) = words(value) {
        return words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    }
    match type_of(value) {
        Some("array") => format!("list of {}", kind(root, &value["items"])),
        Some("object") => format!("table of {}", kind(root, &value["additionalProperties"])),
        Some("string") => match value["format"].as_str() {
            Some("span") => "span".to_owned(),
            Some("date-time") => "moment".to_owned(),
            Some(_) | None => "text".to_owned(),
        },
        Some("integer") => "number".to_owned(),
        Some("boolean") => "yes or no".to_owned(),
        Some(_) | None => "any".to_owned(),
    }
}

fn bounds(value: &Value, at: &Value) -> String {
    let find = |key: &str| [at, value].into_iter().map(|schema| &schema[key]).find(|found| !found.is_null());
    let pair = |least: &str, most: &str| {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match (find(least), find(most)) {
            (Some(least), Some(most)) => Some(format!(" From {} to {}.", text(least), text(most))),
            (Some(_), None) | (None, Some(_)) | (None, None) => None,
        }
    };
    pair("minimum", "maximum").or_else(|| pair("x-min", "x-max")).unwrap_or_default()
}
