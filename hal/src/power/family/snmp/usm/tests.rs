//! Tests of the module above.

use super::*;
use proptest::prelude::*;

const ENGINE: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn engine(cipher: Option<Cipher>) -> Engine {
    let user = User {
        name: "maplesyrup".to_owned(),
        hash: Some((Hash::Sha1, Secret::new("maplesyrup"))),
        cipher: cipher.map(|cipher| (cipher, Secret::new("maplesyrup"))),
        context: String::new(),
    };
    let report = seal(1, 0, (&ENGINE, 3, 1000, &[], &[], &[]), |out| {
        ber::bytes(out, SEQUENCE, &[])
    })
    .0;
    Engine::discovered(&user, &report, 1, 77).unwrap()
}

fn request() -> Request {
    Request {
        oid: "1.3.6.1.2.1.105.1.1.1.3.1.4".parse().unwrap(),
        set: None,
    }
}

#[test]
fn keys_of_the_standard() {
    // RFC 3414 §A.3.1 and §A.3.2.
    let key = |hash: Hash| hex(&hash.key(b"maplesyrup", &ENGINE));
    assert_eq!(key(Hash::Md5), "526f5eed9fcce26f8964c2930787d82b");
    assert_eq!(key(Hash::Sha1), "6695febc9288e36282235fc7151f128497b38f3f");
}

#[test]
fn what_was_encrypted_comes_back() {
    for cipher in [Cipher::Des, Cipher::Aes] {
        let key = Hash::Sha1.key(b"maplesyrup", &ENGINE);
        let salt = cipher.salt(3, 9);
        let mut text = b"a text whose length is not a multiple".to_vec();
        cipher.encrypt(&key, (3, 1000), &salt, &mut text);
        assert!(!text.starts_with(b"a text"));
        cipher.decrypt(&key, (3, 1000), &salt, &mut text).unwrap();
        assert!(
            text.starts_with(b"a text whose length is not a multiple"),
            "{cipher:?}"
        );
    }
}

#[test]
fn two_messages_share_no_salt() {
    let mut engine = engine(Some(Cipher::Aes));
    let salts: Vec<_> = (0..2)
        .map(|id| open(&engine.message(&request(), id)).unwrap().salt.to_vec())
        .collect();
    assert_ne!(salts[0], salts[1]);
}

#[test]
fn only_the_engine_is_believed() {
    let mut engine = engine(Some(Cipher::Aes));
    let message = engine.message(&request(), 5);
    // Our own request is well signed, and no answer.
    let own = engine.answer(&message, 5).unwrap_err();
    assert_eq!(own, Trouble::Malformed(Malformed("it is no answer")));
    assert_eq!(engine.answer(&message, 6).unwrap_err(), Trouble::Stale);
    let at = open(&message).unwrap().signature_at;
    let mut forged = message.clone();
    forged[at] ^= 1;
    let error = engine.answer(&forged, 5).unwrap_err();
    assert_eq!(error, Trouble::Forged("its signature is wrong"));
}

#[test]
fn an_answer_without_signature_is_refused() {
    let mut engine = engine(None);
    let plain = |out: &mut Vec<u8>| {
        ber::element(out, SEQUENCE, |out| {
            ber::bytes(out, OCTETS, &ENGINE);
            ber::bytes(out, OCTETS, &[]);
            ber::element(out, 0xa2, |out| {
                (0..3).for_each(|_| ber::integer(out, INTEGER, 0));
                ber::bytes(out, SEQUENCE, &[]);
            });
        });
    };
    let message = seal(5, 0, (&ENGINE, 3, 1000, b"maplesyrup", &[], &[]), plain).0;
    assert!(matches!(
        engine.answer(&message, 5),
        Err(Trouble::Forged(_))
    ));
}

proptest! {
    #[test]
    fn damage_is_an_error(at: prop::sample::Index, flip in 1u8..) {
        let mut engine = engine(Some(Cipher::Des));
        let mut message = engine.message(&request(), 5);
        let at = at.index(message.len());
        message[at] ^= flip;
        prop_assert!(engine.answer(&message, 5).is_err());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        prop_assert!(open(&bytes).is_err());
    }
}
