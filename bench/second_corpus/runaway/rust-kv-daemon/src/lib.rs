//! Line protocol: "SET key value" and "GET key".
use std::collections::HashMap;

#[derive(Default)]
pub struct Store(HashMap<String, String>);

impl Store {
    pub fn answer(&mut self, line: &str) -> String {
        let mut words = line.trim_end().splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("SET"), Some(key), Some(value)) => {
                self.0.insert(key.into(), value.into());
                "OK".into()
            }
            (Some("GET"), Some(key), None) => self.0.get(key).cloned().unwrap_or_else(|| "NONE".into()),
            _ => "ERROR".into(),
        }
    }
}
