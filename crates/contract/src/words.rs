//! Words of a name: `sendEmail`, `send_email` and `send email` are the same ones.

/// The words of a text, in lower case; a capital behind a small letter begins one.
pub(crate) fn of(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in text.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
        was_lower = c.is_lowercase() || c.is_numeric();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A noun without the ending of its plural, as far as that can be told.
pub(crate) fn singular(noun: &str) -> &str {
    match noun.strip_suffix('s') {
        Some(_) if noun.ends_with("sses") || noun.ends_with("xes") || noun.ends_with("ches") => &noun[..noun.len() - 2],
        Some(one) if one.len() >= 3 && !one.ends_with('s') => one,
        Some(_) | None => noun,
    }
}
