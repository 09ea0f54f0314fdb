use super::*;
use expect_test::{Expect, expect};

/// Makes files of `(name, content)` in a fresh directory and says how loading chain.pem and key.pem ends.
fn check(files: &[(&str, &str)], expected: Expect) {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    let outcome =
        Identity::from_files(&folder.path().join("chain.pem"), &folder.path().join("key.pem"));
    let said = match outcome {
        Ok(_) => "ok".to_owned(),
        Err(error) => error.to_string().replace(folder.path().to_str().unwrap(), "DIR"),
    };
    expected.assert_eq(&said);
}

fn pair() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["example.org".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

#[test]
fn loads_a_chain_and_its_key() {
    let (chain, key) = pair();
    check(&[("chain.pem", &chain), ("key.pem", &key)], expect!["ok"]);
}

#[test]
fn says_which_file_is_missing() {
    let (chain, _) = pair();
    check(
        &[("chain.pem", &chain)],
        expect![
            "cannot read DIR/key.pem: No such file or directory (os error 2); check the path in the configuration"
        ],
    );
}

#[test]
fn says_when_the_files_are_swapped() {
    let (chain, key) = pair();
    check(
        &[("chain.pem", &key), ("key.pem", &chain)],
        expect![
            "DIR/chain.pem holds no certificate; name the full chain, leaf first (often fullchain.pem)"
        ],
    );
}

#[test]
fn says_when_there_is_no_key() {
    let (chain, _) = pair();
    check(
        &[("chain.pem", &chain), ("key.pem", &chain)],
        expect![
            "DIR/key.pem holds no private key; name the key's own file (often privkey.pem), unencrypted"
        ],
    );
}

#[test]
fn says_when_the_key_is_of_another_certificate() {
    let (chain, _) = pair();
    let (_, key) = pair();
    check(
        &[("chain.pem", &chain), ("key.pem", &key)],
        expect![[r#"
            the key in DIR/key.pem does not serve the certificate in DIR/chain.pem: keys may not be consistent: KeyMismatch; name the key the certificate was issued for, and the leaf certificate first"#]],
    );
}

#[test]
fn trusts_what_a_file_holds_and_says_when_it_holds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = pair();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, certificate.repeat(2)).unwrap();
    assert_eq!(roots(&file).unwrap().len(), 2);
    std::fs::write(&file, key).unwrap();
    let said = roots(&file).unwrap_err().to_string();
    assert!(said.contains("holds no certificate"), "{said}");
}
