//! The hashes that sign a message and the ciphers that encrypt it (RFC 3414, RFC 3826, RFC 7860).
//!
//! Bytes in, bytes out: messages, users and clocks are the module's above.

use crate::power::family::snmp::ber::Malformed;
use aes::Aes128;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use des::Des;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

/// A password is repeated to this length before it is hashed (RFC 3414 §2.6).
const STRETCHED: usize = 1 << 20;

/// With which hash a message is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::power::family::snmp) enum Hash {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// With which cipher a message is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::power::family::snmp) enum Cipher {
    Des,
    Aes,
}

impl Hash {
    /// The hash that a lab file calls `name`.
    pub(in crate::power::family::snmp) fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().replace('-', "").as_str() {
            "md5" => Self::Md5,
            "sha" | "sha1" => Self::Sha1,
            "sha224" => Self::Sha224,
            "sha256" => Self::Sha256,
            "sha384" => Self::Sha384,
            "sha512" => Self::Sha512,
            _ => return None,
        })
    }

    /// Bytes of a signature (RFC 3414 §6.3.1, RFC 7860 §4.1).
    pub(super) fn signature_length(self) -> usize {
        match self {
            Self::Md5 | Self::Sha1 => 12,
            Self::Sha224 => 16,
            Self::Sha256 => 24,
            Self::Sha384 => 32,
            Self::Sha512 => 48,
        }
    }

    /// The key of `password` at `engine` (RFC 3414 §A.2).
    pub(super) fn key(self, password: &[u8], engine: &[u8]) -> Vec<u8> {
        fn key<D: Digest>(password: &[u8], engine: &[u8]) -> Vec<u8> {
            let mut stretched = password.repeat(STRETCHED.div_ceil(password.len().max(1)));
            stretched.truncate(STRETCHED);
            let everywhere = D::digest(&stretched);
            let here = D::new()
                .chain_update(&everywhere)
                .chain_update(engine)
                .chain_update(&everywhere);
            here.finalize().to_vec()
        }
        match self {
            Self::Md5 => key::<Md5>(password, engine),
            Self::Sha1 => key::<Sha1>(password, engine),
            Self::Sha224 => key::<Sha224>(password, engine),
            Self::Sha256 => key::<Sha256>(password, engine),
            Self::Sha384 => key::<Sha384>(password, engine),
            Self::Sha512 => key::<Sha512>(password, engine),
        }
    }

    pub(super) fn sign(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        fn sign<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> Vec<u8> {
            // HMAC takes a key of any length.
            let Ok(mac) = <M as KeyInit>::new_from_slice(key) else {
                return Vec::new();
            };
            mac.chain_update(message).finalize().into_bytes().to_vec()
        }
        let mut signature = match self {
            Self::Md5 => sign::<Hmac<Md5>>(key, message),
            Self::Sha1 => sign::<Hmac<Sha1>>(key, message),
            Self::Sha224 => sign::<Hmac<Sha224>>(key, message),
            Self::Sha256 => sign::<Hmac<Sha256>>(key, message),
            Self::Sha384 => sign::<Hmac<Sha384>>(key, message),
            Self::Sha512 => sign::<Hmac<Sha512>>(key, message),
        };
        signature.truncate(self.signature_length());
        signature
    }
}

impl Cipher {
    /// The cipher that a lab file calls `name`.
    pub(in crate::power::family::snmp) fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().replace('-', "").as_str() {
            "des" => Some(Self::Des),
            "aes" | "aes128" => Some(Self::Aes),
            _ => None,
        }
    }

    /// What makes each message's encryption different, and is sent with it.
    pub(super) fn salt(self, boots: u32, count: u64) -> Vec<u8> {
        match self {
            // RFC 3414 §8.1.1.1: the boots and a counter.
            Self::Des => [boots.to_be_bytes(), (count as u32).to_be_bytes()].concat(),
            Self::Aes => count.to_be_bytes().to_vec(),
        }
    }

    /// The vector to begin with, from the key and the salt.
    fn vector(self, key: &[u8], (boots, time): (u32, u32), salt: &[u8]) -> Vec<u8> {
        match self {
            Self::Des => key[8..16]
                .iter()
                .zip(salt)
                .map(|(key, salt)| key ^ salt)
                .collect(),
            Self::Aes => [&boots.to_be_bytes()[..], &time.to_be_bytes(), salt].concat(),
        }
    }

    pub(super) fn encrypt(self, key: &[u8], clock: (u32, u32), salt: &[u8], text: &mut Vec<u8>) {
        let vector = self.vector(key, clock, salt);
        match self {
            Self::Des => {
                text.resize(text.len().next_multiple_of(8), 0);
                if let Ok(mut mode) = cbc::Encryptor::<Des>::new_from_slices(&key[..8], &vector) {
                    for block in text.chunks_exact_mut(8) {
                        if let Ok(block) = block.try_into() {
                            mode.encrypt_block(block);
                        }
                    }
                }
            }
            Self::Aes => {
                if let Ok(mode) =
                    cfb_mode::Encryptor::<Aes128>::new_from_slices(&key[..16], &vector)
                {
                    mode.encrypt(text);
                }
            }
        }
    }

    pub(super) fn decrypt(
        self,
        key: &[u8],
        clock: (u32, u32),
        salt: &[u8],
        text: &mut [u8],
    ) -> Result<(), Malformed> {
        if salt.len() != 8 {
            return Err(Malformed("the salt of its encryption is not eight bytes"));
        }
        let vector = self.vector(key, clock, salt);
        let wrong = |_| Malformed("its encryption is not this one");
        match self {
            Self::Des => {
                if !text.len().is_multiple_of(8) {
                    return Err(Malformed("its encrypted part is cut"));
                }
                let mut mode =
                    cbc::Decryptor::<Des>::new_from_slices(&key[..8], &vector).map_err(wrong)?;
                for block in text.chunks_exact_mut(8) {
                    if let Ok(block) = block.try_into() {
                        mode.decrypt_block(block);
                    }
                }
            }
            Self::Aes => cfb_mode::Decryptor::<Aes128>::new_from_slices(&key[..16], &vector)
                .map_err(wrong)?
                .decrypt(text),
        }
        Ok(())
    }
}
