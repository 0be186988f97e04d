//! Arguments that many commands take.

use jackfield_model::Options;

use super::Failure;

/// `key=value`
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

/// `key=value`, or a key alone.
pub(super) fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some(("", _)) => Err("expected KEY=VALUE or KEY".to_owned()),
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None if text.is_empty() => Err("expected KEY=VALUE or KEY".to_owned()),
        None => Ok((text.to_owned(), String::new())),
    }
}

/// All pairs of one flag; a key given twice is a slip that nobody should have to find.
pub(super) fn options(flag: &str, pairs: Vec<(String, String)>) -> Result<Options, Failure> {
    let mut options = Options::new();
    for (key, value) in pairs {
        if options.insert(key.clone(), value).is_some() {
            return Err(Failure::usage(format!("{flag} {key} is given twice")));
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_have_a_key() {
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(label("a"), Ok(("a".to_owned(), String::new())));
        for bad in ["", "=b", "a"] {
            assert!(pair(bad).is_err(), "{bad}");
        }
        assert!(label("").is_err() && label("=x").is_err());
        assert!(options("--label", vec![pair("a=1").unwrap(), pair("a=2").unwrap()]).is_err());
    }
}
