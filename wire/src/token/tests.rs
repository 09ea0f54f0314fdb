//! What a verifier takes and what it refuses, and why.
#![allow(clippy::unwrap_used)] // A test that unwraps an error fails, as it should.

use super::*;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;

const NOW_S: u64 = 1_800_000_000;

fn claims() -> Claims {
    Claims {
        aud: "dev".into(),
        meeting: "standup".into(),
        sub: "ada".into(),
        role: Role::Attendee,
        kinds: vec![Kind::Audio, Kind::Video],
        iat: NOW_S,
        exp: NOW_S + 600,
        jti: "one".into(),
    }
}

fn verifier(signer: &Signer) -> Verifier {
    Verifier::from_jwks("dev", &signer.public_jwks()).unwrap()
}

/// Signs changed claims and verifies them.
fn verify(change: impl FnOnce(&mut Claims)) -> Result<Claims, TokenError> {
    let signer = Signer::generate();
    let mut claims = claims();
    change(&mut claims);
    verifier(&signer).verify(&signer.sign(&claims), NOW_S)
}

/// The token with another header, and so with a signature that does not fit.
fn with_header(token: &str, header: &str) -> String {
    let (_, rest) = token.split_once('.').unwrap();
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header))
}

fn kid(signer: &Signer) -> String {
    let jwks: serde_json::Value = serde_json::from_str(&signer.public_jwks()).unwrap();
    jwks["keys"][0]["kid"].as_str().unwrap().to_owned()
}

#[test]
fn takes_a_good_token() {
    assert_eq!(verify(|_| {}), Ok(claims()));
}

#[test]
fn refuses_other_algorithms_before_any_key_is_looked_at() {
    let signer = Signer::generate();
    let token = signer.sign(&claims());
    let kid = kid(&signer);
    let verifier = verifier(&signer);
    for alg in ["none", "None", "HS256", "RS256", "ES256"] {
        let header = format!(r#"{{"typ":"JWT","alg":"{alg}","kid":"{kid}"}}"#);
        let forged = with_header(&token, &header);
        assert_eq!(verifier.verify(&forged, NOW_S), Err(TokenError::Malformed), "{alg}");
        let (unsigned, _) = forged.rsplit_once('.').unwrap();
        assert_eq!(
            verifier.verify(&format!("{unsigned}."), NOW_S),
            Err(TokenError::Malformed),
            "{alg} without signature"
        );
    }
}

#[test]
fn refuses_a_token_keyed_with_the_public_key_as_a_secret() {
    // The classic confusion: HS256 with the bytes of the public key, which everybody knows.
    let signer = Signer::generate();
    let jwks: serde_json::Value = serde_json::from_str(&signer.public_jwks()).unwrap();
    let public = URL_SAFE_NO_PAD.decode(jwks["keys"][0]["x"].as_str().unwrap()).unwrap();
    let header = jsonwebtoken::Header {
        kid: Some(kid(&signer)),
        ..jsonwebtoken::Header::new(Algorithm::HS256)
    };
    let secret = jsonwebtoken::EncodingKey::from_secret(&public);
    let token = jsonwebtoken::encode(&header, &claims(), &secret).unwrap();
    assert_eq!(verifier(&signer).verify(&token, NOW_S), Err(TokenError::Malformed));
}

#[test]
fn refuses_keys_it_does_not_know() {
    let (signer, other) = (Signer::generate(), Signer::generate());
    let token = other.sign(&claims());
    assert_eq!(verifier(&signer).verify(&token, NOW_S), Err(TokenError::UnknownKey));
    let unnamed = with_header(&signer.sign(&claims()), r#"{"typ":"JWT","alg":"EdDSA"}"#);
    assert_eq!(verifier(&signer).verify(&unnamed, NOW_S), Err(TokenError::UnknownKey));
}

#[test]
fn refuses_a_signature_by_another_key_under_a_known_name() {
    let (signer, other) = (Signer::generate(), Signer::generate());
    let header = format!(r#"{{"typ":"JWT","alg":"EdDSA","kid":"{}"}}"#, kid(&signer));
    let forged = with_header(&other.sign(&claims()), &header);
    assert_eq!(verifier(&signer).verify(&forged, NOW_S), Err(TokenError::Forged));
}

#[test]
fn refuses_changed_claims() {
    let signer = Signer::generate();
    let token = signer.sign(&claims());
    let [header, _, signature] = token.split('.').collect::<Vec<_>>()[..] else { unreachable!() };
    let promoted = Claims { role: Role::Host, ..claims() };
    let payload = URL_SAFE_NO_PAD.encode(serde_json::to_string(&promoted).unwrap());
    let forged = format!("{header}.{payload}.{signature}");
    assert_eq!(verifier(&signer).verify(&forged, NOW_S), Err(TokenError::Forged));
}

#[test]
fn refuses_what_must_be_understood() {
    let signer = Signer::generate();
    let header =
        format!(r#"{{"alg":"EdDSA","kid":"{}","crit":["b64"],"b64":false}}"#, kid(&signer));
    let token = with_header(&signer.sign(&claims()), &header);
    assert_eq!(verifier(&signer).verify(&token, NOW_S), Err(TokenError::Malformed));
}

#[test]
fn refuses_another_zone() {
    assert_eq!(verify(|claims| claims.aud = "elsewhere".into()), Err(TokenError::Forged));
}

#[test]
fn refuses_tokens_out_of_their_time() {
    let moved =
        |iat: u64, exp: u64| verify(|claims| (claims.iat, claims.exp) = (iat, exp)).map(|_| ());
    assert_eq!(moved(NOW_S - 100, NOW_S - 4), Ok(()), "5 s of leeway");
    assert_eq!(moved(NOW_S - 100, NOW_S - 5), Err(TokenError::Expired));
    assert_eq!(moved(NOW_S + 5, NOW_S + 100), Ok(()), "5 s of leeway");
    assert_eq!(moved(NOW_S + 6, NOW_S + 100), Err(TokenError::Expired));
    assert_eq!(moved(NOW_S, NOW_S + 601), Err(TokenError::Expired), "longer-lived than 10 min");
    assert_eq!(moved(0, u64::MAX), Err(TokenError::Expired));
    assert_eq!(moved(NOW_S + 1, NOW_S), Err(TokenError::Malformed), "ends before it begins");
}

#[test]
fn refuses_names_over_their_limit() {
    let long = "x".repeat(NAME_LEN_MAX + 1);
    assert_eq!(verify(|claims| claims.meeting = long.clone()), Err(TokenError::Malformed));
    assert_eq!(verify(|claims| claims.sub = long.clone()), Err(TokenError::Malformed));
    assert_eq!(verify(|claims| claims.jti = long), Err(TokenError::Malformed));
    assert_eq!(verify(|claims| claims.sub = String::new()), Err(TokenError::Malformed));
    assert!(verify(|claims| claims.sub = "x".repeat(NAME_LEN_MAX)).is_ok());
}

#[test]
fn refuses_an_oversized_token_before_anything_else() {
    // Were any of it parsed, this would be Malformed.
    let verifier = verifier(&Signer::generate());
    assert_eq!(verifier.verify(&"!".repeat(TOKEN_LEN_MAX + 1), NOW_S), Err(TokenError::TooLong));
    assert_eq!(verifier.verify(&"!".repeat(TOKEN_LEN_MAX), NOW_S), Err(TokenError::Malformed));
}

#[test]
fn a_key_survives_its_file() {
    let signer = Signer::generate();
    let again = Signer::from_pem(&signer.private_pem()).unwrap();
    assert_eq!(again.public_jwks(), signer.public_jwks());
    assert_eq!(verifier(&signer).verify(&again.sign(&claims()), NOW_S), Ok(claims()));
}

#[test]
fn takes_the_key_of_rfc8410_and_names_it_as_rfc8037_does() {
    // RFC 8410 §10.3, PKCS#8 version 1 as OpenSSL writes it.
    let pem = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
        -----END PRIVATE KEY-----\n";
    let signer = Signer::from_pem(pem).unwrap();
    assert_eq!(signer.private_pem(), pem);
    // RFC 8037 §A.3: the thumbprint of the key of §A.1.
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    assert_eq!(keys::thumbprint(x), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn refuses_keys_that_are_none() {
    let jwks = |keys: &str| Verifier::from_jwks("dev", &format!(r#"{{"keys":[{keys}]}}"#)).err();
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let good = format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"a","x":"{x}"}}"#);
    assert_eq!(jwks(&good), None);
    assert_eq!(jwks(""), Some(KeyError::Empty));
    assert_eq!(jwks(&format!("{good},{good}")), Some(KeyError::Duplicate("a".into())));
    assert_eq!(jwks(&good.replace(r#""kid":"a","#, "")), Some(KeyError::Unnamed));
    let not = Some(KeyError::NotEd25519("a".into()));
    assert_eq!(jwks(&good.replace("HURo", "")), not, "too short");
    assert_eq!(jwks(r#"{"kty":"oct","kid":"a","k":"AAAA"}"#), not);
    assert!(matches!(Verifier::from_jwks("dev", "[]").err(), Some(KeyError::NotJwks(_))));
    assert_eq!(Signer::from_pem("").err(), Some(KeyError::NotPrivate));
}

#[test]
fn of_what_is_published_keys_of_another_kind_are_left_out() {
    let signer = Signer::generate();
    let with = |others: &str| signer.public_jwks().replacen('[', &format!("[{others},"), 1);
    let rsa = r#"{"kty":"RSA","kid":"r","n":"AQAB","e":"AQAB"}"#;
    let unnamed =
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    for others in [rsa, unnamed, r#"{"kty":"of later"}"#, "7", "null"] {
        let keys = PublicKeys::from_published(&with(others)).unwrap();
        assert_eq!(keys.count(), 1, "{others}");
    }
    let none = |jwks: &str| PublicKeys::from_published(jwks).err();
    assert_eq!(none(&format!(r#"{{"keys":[{rsa}]}}"#)), Some(KeyError::Empty));
    assert!(matches!(none("[]"), Some(KeyError::NotJwks(_))));
    assert!(matches!(none("hello"), Some(KeyError::NotJwks(_))));
}

#[test]
fn keys_of_several_sources_count_and_none_replaces_another() {
    // The second source claims the first one's name for a key of its own.
    let (first, second, third) = (Signer::generate(), Signer::generate(), Signer::generate());
    let liar = second.public_jwks().replace(second.kid(), first.kid());
    let mut keys = PublicKeys::from_jwks(&first.public_jwks()).unwrap();
    for jwks in [liar, third.public_jwks()] {
        keys.add(&PublicKeys::from_jwks(&jwks).unwrap());
    }
    assert_eq!(keys.count(), 2);
    let verifier = Verifier::new(&["dev", "test"], keys);
    assert_eq!(verifier.verify(&first.sign(&claims()), NOW_S), Ok(claims()));
    let elsewhere = Claims { aud: "test".into(), ..claims() };
    assert_eq!(verifier.verify(&third.sign(&elsewhere), NOW_S), Ok(elsewhere));
    let nobody = Verifier::new(&["dev"], PublicKeys::default());
    assert_eq!(nobody.verify(&first.sign(&claims()), NOW_S), Err(TokenError::UnknownKey));
}

#[test]
fn keys_are_never_shown() {
    let signer = Signer::generate();
    assert_eq!(format!("{signer:?}"), format!("Signer {{ kid: {:?}, .. }}", kid(&signer)));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(
        token: String,
        parts in "[A-Za-z0-9_-]{0,40}(\\.[A-Za-z0-9_-]{0,40}){2}",
    ) {
        let verifier = Verifier::from_jwks("dev", r#"{"keys":[{"kty":"OKP","crv":"Ed25519",
            "kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#).unwrap();
        prop_assert!(verifier.verify(&token, NOW_S).is_err());
        prop_assert!(verifier.verify(&parts, NOW_S).is_err());
    }
}

fn ticket_verifier(signer: &Signer) -> TicketVerifier {
    TicketVerifier::from_jwks("dev", &signer.public_jwks()).unwrap()
}

#[test]
fn takes_a_ticket_again_and_again_until_it_ends() {
    let signer = Signer::generate();
    let ticket = Ticket::of(&claims(), NOW_S, 3_600);
    let signed = signer.sign_ticket(&ticket);
    assert!(is_ticket(&signed));
    let verifier = ticket_verifier(&signer);
    for now_s in [NOW_S, NOW_S, NOW_S + 3_604] {
        assert_eq!(verifier.verify(&signed, now_s), Ok(ticket.clone()));
    }
    assert_eq!(verifier.verify(&signed, NOW_S + 3_605), Err(TokenError::Expired));
    let longest = Ticket::of(&claims(), NOW_S, u64::MAX);
    assert_eq!(longest.exp, NOW_S + crate::limits::TICKET_LIFETIME_S_MAX);
}

#[test]
fn a_ticket_is_no_token_and_a_token_no_ticket() {
    let signer = Signer::generate();
    let ticket = Ticket::of(&claims(), NOW_S, 600);
    let signed = signer.sign_ticket(&ticket);
    // It has no `jti`; had it one, its audience would not fit.
    assert_eq!(verifier(&signer).verify(&signed, NOW_S), Err(TokenError::Malformed));
    let token = signer.sign(&claims());
    assert!(!is_ticket(&token));
    assert_eq!(ticket_verifier(&signer).verify(&token, NOW_S), Err(TokenError::Forged));
    // A token with a ticket's audience lacks the `typ`.
    let named = Claims { aud: ticket.aud, ..claims() };
    let verified = ticket_verifier(&signer).verify(&signer.sign(&named), NOW_S);
    assert_eq!(verified, Err(TokenError::Malformed));
}

#[test]
fn refuses_tickets_of_other_zones_and_keys_and_names_too_long() {
    let signer = Signer::generate();
    let verify = |ticket: &Ticket, by: &Signer| {
        ticket_verifier(&signer).verify(&by.sign_ticket(ticket), NOW_S)
    };
    let ticket = Ticket::of(&claims(), NOW_S, 600);
    let elsewhere = Ticket { aud: "other/tickets".into(), ..ticket.clone() };
    assert_eq!(verify(&elsewhere, &signer), Err(TokenError::Forged));
    assert_eq!(verify(&ticket, &Signer::generate()), Err(TokenError::UnknownKey));
    let long = Ticket { sub: "a".repeat(65), ..ticket.clone() };
    assert_eq!(verify(&long, &signer), Err(TokenError::Malformed));
    let endless = Ticket { exp: u64::MAX, ..ticket };
    assert_eq!(verify(&endless, &signer), Err(TokenError::Expired));
}

#[test]
fn tokens_and_tickets_name_their_zone_and_nothing_is_believed() {
    let signer = Signer::generate();
    let ticket = signer.sign_ticket(&Ticket::of(&claims(), NOW_S, 600));
    assert_eq!(zone_of(&signer.sign(&claims())).as_deref(), Some("dev"));
    assert_eq!(zone_of(&ticket).as_deref(), Some("dev"));
    // A token whose audience is a ticket's is no ticket.
    let named = Claims { aud: "dev/tickets".into(), ..claims() };
    assert_eq!(zone_of(&signer.sign(&named)).as_deref(), Some("dev/tickets"));
    for none in ["", "a.b.c", "..", &"x".repeat(TOKEN_LEN_MAX + 1)] {
        assert_eq!(zone_of(none), None);
    }
}
