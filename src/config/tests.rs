use super::*;
use std::{io::Write, path::Path};

fn env<'a>(variables: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
    |name| {
        let value = variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        // Not the file of whoever runs the tests.
        value.or_else(|| (name == "KEFU_CONFIG").then(|| "/dev/null".to_owned()))
    }
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn flag(key: &'static str, value: &str) -> Flag {
    Flag { key, flag: "--test", value: value.to_owned() }
}

fn read(named: Option<&Path>, variables: &[(&str, &str)], flags: Vec<Flag>) -> Result<Config, ConfigError> {
    Config::from_layers(&Layers::read(named, env(variables), flags)?)
}

#[test]
fn each_layer_weighs_more_than_the_one_before() {
    let file = file("prefix = \"file\"\ntenant = \"file\"\n[limits]\nidle = \"1m\"\n");
    let variables = [("KEFU_PREFIX", "env"), ("KEFU_TENANT", "env")];
    let layers = Layers::read(Some(file.path()), env(&variables), vec![flag(keys::TENANT, "flag")]).unwrap();
    let config = Config::from_layers(&layers).unwrap();
    assert_eq!(config.limits.idle, Duration::from_secs(60));
    assert_eq!(config.subjects.prefix(), "env");
    assert_eq!(config.tenant, "flag");
    assert_eq!(config.limits.max_pending, 1000);
    assert_eq!(layers.origin(keys::IDLE), Origin::File(file.path().to_owned()));
    assert_eq!(layers.origin(keys::PREFIX), Origin::Env("KEFU_PREFIX"));
    assert_eq!(layers.origin(keys::TENANT), Origin::Flag("--test"));
    assert_eq!(layers.origin(keys::MAX_PENDING), Origin::Default);
}

#[test]
fn an_unknown_key_is_an_error_that_names_the_nearest_one() {
    for (text, nearest) in [
        ("lissten = 1", "\"listen\""),
        ("[nats]\nurll = \"x\"", "\"nats.url\""),
        ("[limit]\nidle = \"5m\"", "\"limits.idle\""),
        ("memory = \"1G\"", "\"limits.memory\""),
    ] {
        let error = read(Some(file(text).path()), &[], Vec::new()).unwrap_err().to_string();
        assert!(error.contains("did you mean") && error.contains(nearest) || error.contains("no key"), "{error}");
    }
    let error = read(Some(file("lissten = 1").path()), &[], Vec::new()).unwrap_err().to_string();
    assert!(error.contains("did you mean \"listen\"?"), "{error}");
}

#[test]
fn a_wrong_value_is_an_error_that_names_its_origin() {
    let error = read(None, &[("KEFU_IDLE", "soon")], Vec::new()).unwrap_err().to_string();
    assert!(error.contains("limits.idle") && error.contains("KEFU_IDLE") && error.contains("10m"), "{error}");
    let error = read(Some(Path::new("/nonexistent.toml")), &[], Vec::new()).unwrap_err().to_string();
    assert!(error.contains("/nonexistent.toml"), "{error}");
}

#[test]
fn paths_in_the_file_start_where_the_file_is() {
    let file = file("data = \"here\"");
    let config = read(Some(file.path()), &[], Vec::new()).unwrap();
    assert_eq!(config.data, file.path().parent().unwrap().join("here"));
}

#[test]
fn a_free_port_will_do_only_where_none_was_named() {
    assert!(read(None, &[], Vec::new()).unwrap().listen.or_free);
    let named = read(None, &[("KEFU_LISTEN", "7070")], Vec::new()).unwrap().listen;
    assert_eq!(named, Listen { address: units::DEFAULT_ADDRESS, or_free: false });
}

#[test]
fn secrets_are_not_shown() {
    let variables = [("KEFU_NATS_PASSWORD", "hush"), ("KEFU_NATS", "nats://me:hush@host:4222")];
    let layers = Layers::read(None, env(&variables), Vec::new()).unwrap();
    assert!(!format!("{:?}", layers.entries()).contains("hush"));
}

#[test]
fn durations_and_sizes_are_read_as_people_write_them() {
    assert_eq!(units::duration("1.5m"), Ok(Duration::from_secs(90)));
    assert_eq!(units::duration("250ms"), Ok(Duration::from_millis(250)));
    assert!(units::duration("-1s").is_err() && units::duration("1 week").is_err());
    assert_eq!(units::bytes("512MiB"), Ok(512 << 20));
    assert_eq!(units::bytes("2gb"), Ok(2_000_000_000));
    assert_eq!(units::address("localhost:80").unwrap().port(), 80);
}

#[test]
fn every_key_is_described_once() {
    for key in keys::KEYS {
        assert_eq!(keys::KEYS.iter().filter(|other| other.name == key.name || other.env == key.env).count(), 1);
        assert!(key.env.starts_with("KEFU_") && !key.help.is_empty());
    }
}
