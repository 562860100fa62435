//! Any bytes of a telnet server leave no more than they were, however they are cut, and answers
//! that cannot go on for ever.
#![no_main]

use hal::console::telnet::codec::TelnetCodec;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, bytes) = input;
    for fresh in [TelnetCodec::refusing, || TelnetCodec::new(&[])] {
        let (mut whole, mut pieces) = (fresh(), fresh());
        let mut all = bytes.to_vec();
        let length = whole.decode(&mut all);
        let (mut first, mut second) = {
            let (first, second) = bytes.split_at(usize::from(cut).min(bytes.len()));
            (first.to_vec(), second.to_vec())
        };
        let first_length = pieces.decode(&mut first);
        let second_length = pieces.decode(&mut second);
        let joined = [&first[..first_length], &second[..second_length]].concat();
        assert_eq!(all[..length], joined);
        assert_eq!(whole.replies(), pieces.replies());
        assert!(whole.replies().len() <= bytes.len());
    }
});
