//! Digest authentication (RFC 7616, and RFC 2617 as old devices have it): MD5 and SHA-256.

use crate::lab::Secret;
use md5::Md5;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What a server wants to know, by its `WWW-Authenticate`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    parameters: BTreeMap<String, String>,
    sha256: bool,
    session: bool,
}

impl Challenge {
    /// The best challenge among the headers of an answer that we can meet.
    pub(super) fn best<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Self> {
        headers
            .flat_map(Self::parse)
            .max_by_key(|challenge| challenge.sha256)
    }

    /// The challenges of one header, which may hold several, also of other schemes.
    fn parse(header: &str) -> Vec<Self> {
        let lower = header.to_ascii_lowercase();
        let starts = lower.match_indices("digest ").map(|(at, _)| at);
        starts
            .filter_map(|at| Self::one(&header[at + "digest ".len()..]))
            .collect()
    }

    fn one(mut rest: &str) -> Option<Self> {
        let mut parameters = BTreeMap::new();
        while let Some((name, after)) = rest.split_once('=') {
            let name = name.trim_matches([' ', ',', '\t']);
            if name.contains(' ') {
                // The next scheme's name.
                break;
            }
            let (value, after) = value(after)?;
            parameters.insert(name.to_ascii_lowercase(), value);
            rest = after;
        }
        let algorithm = parameters.get("algorithm").map_or("md5", String::as_str);
        let algorithm = algorithm.to_ascii_lowercase();
        let (name, session) = match algorithm.strip_suffix("-sess") {
            Some(name) => (name, true),
            None => (algorithm.as_str(), false),
        };
        let sha256 = match name {
            "md5" => false,
            "sha-256" => true,
            _ => return None,
        };
        let understood = parameters.contains_key("nonce");
        understood.then_some(Self {
            parameters,
            sha256,
            session,
        })
    }

    fn get(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }

    fn hash(&self, text: &str) -> String {
        let bytes = match self.sha256 {
            true => Sha256::digest(text).to_vec(),
            false => Md5::digest(text).to_vec(),
        };
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The value of `Authorization` for one request. `client_nonce` has to be new each time.
    pub(super) fn answer(
        &self,
        (username, password): (&str, &Secret),
        method: &str,
        target: &str,
        client_nonce: &str,
    ) -> String {
        let (realm, nonce) = (self.get("realm"), self.get("nonce"));
        let mut secret = self.hash(&format!("{username}:{realm}:{}", password.expose()));
        if self.session {
            secret = self.hash(&format!("{secret}:{nonce}:{client_nonce}"));
        }
        let request = self.hash(&format!("{method}:{target}"));
        let protected = self.get("qop").split(',').any(|qop| qop.trim() == "auth");
        let response = if protected {
            format!("{secret}:{nonce}:00000001:{client_nonce}:auth:{request}")
        } else {
            format!("{secret}:{nonce}:{request}")
        };
        let mut header = format!(
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{target}\", response=\"{}\"",
            escaped(username),
            escaped(realm),
            escaped(nonce),
            self.hash(&response)
        );
        if self.parameters.contains_key("algorithm") {
            header.push_str(&format!(", algorithm={}", self.get("algorithm")));
        }
        if self.parameters.contains_key("opaque") {
            header.push_str(&format!(", opaque=\"{}\"", escaped(self.get("opaque"))));
        }
        if protected {
            header.push_str(&format!(
                ", qop=auth, nc=00000001, cnonce=\"{client_nonce}\""
            ));
        }
        header
    }
}

/// The value at the beginning of `text`, quoted or not, and what follows.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.trim_start().strip_prefix('"') else {
        let end = text.find(',').unwrap_or(text.len());
        return Some((text[..end].trim().to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            _ => value.push(character),
        }
    }
    None
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NONCES: &str = "nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                          opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";
    const CLIENT: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

    #[test]
    fn example_of_the_standard() {
        // RFC 7616 §3.9.1: the better of two challenges is met.
        let header = |algorithm| {
            format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", \
                 algorithm={algorithm}, {NONCES}"
            )
        };
        let login = ("Mufasa", &Secret::new("Circle of Life"));
        let answer = |challenges: &[String]| {
            let best = Challenge::best(challenges.iter().map(String::as_str)).unwrap();
            best.answer(login, "GET", "/dir/index.html", CLIENT)
        };
        let both = [header("MD5"), header("SHA-256")];
        let expected = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1";
        assert!(
            answer(&both).contains(&format!("response=\"{expected}\"")),
            "{}",
            answer(&both)
        );
        let expected = "8ca523f5e9506fed4657c9700eebdbec";
        assert!(answer(&both[..1]).contains(&format!("response=\"{expected}\"")));
    }

    #[test]
    fn several_challenges_in_a_header() {
        let header = "Basic realm=\"a, b\", Digest realm=\"c\\\"d\", nonce=x, stale=FALSE";
        let challenge = Challenge::best([header].into_iter()).unwrap();
        assert_eq!(
            (challenge.get("realm"), challenge.get("nonce")),
            ("c\"d", "x")
        );
        for none in [
            "Basic realm=\"x\"",
            "Digest realm=\"x\"",
            "Digest nonce=\"",
            "",
        ] {
            assert_eq!(Challenge::best([none].into_iter()), None, "{none}");
        }
        let unknown = "Digest nonce=1, algorithm=SHA-512-256";
        assert_eq!(Challenge::best([unknown].into_iter()), None);
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(header in "(Digest |digest |[a-z]+=|\"|\\\\|,|\\PC){0,20}") {
            if let Some(challenge) = Challenge::best([header.as_str()].into_iter()) {
                challenge.answer(("u", &Secret::new("p")), "GET", "/", "c");
            }
        }
    }
}
