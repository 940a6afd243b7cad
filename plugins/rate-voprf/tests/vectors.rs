//! Published vectors: RFC 9497, and tokens of Privacy Pass by three other makers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use herald_plugin_sdk::{Fault, Token};
use herald_rate_voprf::{Framing, Key, P384, Ristretto255, Suite, client};
use ring::digest::{SHA256, digest};
use serde_json::Value;
use voprf_ng::{BlindedElement, Group, Proof, VoprfClient, VoprfServer};

use common::{Script, from_hex, system, vectors, want};

fn bytes(vector: &Value, name: &str) -> Vec<u8> {
    from_hex(vector[name].as_str().unwrap_or_else(|| panic!("{name} is in {vector}")))
}

/// The values of `name`, which stand in one text with commas between them.
fn list(vector: &Value, name: &str) -> Vec<Vec<u8>> {
    vector[name].as_str().unwrap().split(',').map(from_hex).collect()
}

fn rfc9497<S: Suite>(suite: &Value) -> usize {
    let secret = bytes(suite, "skSm");
    let server = VoprfServer::<S>::new_from_seed(&bytes(suite, "seed"), &bytes(suite, "keyInfo")).unwrap();
    assert_eq!(server.serialize()[..S::SCALAR_BYTES], secret);
    let key = Key::<S>::from_secret(&secret).unwrap();
    assert_eq!(key.public_key(), bytes(suite, "pkSm"));
    let vectors = suite["vectors"].as_array().unwrap();
    for vector in vectors {
        rfc9497_vector::<S>(&server, vector);
    }
    vectors.len()
}

fn rfc9497_vector<S: Suite>(server: &VoprfServer<S>, vector: &Value) {
    let [inputs, blinds, outputs] = ["Input", "Blind", "Output"].map(|name| list(vector, name));
    let mut clients = Vec::new();
    let mut blinded = Vec::new();
    for (index, (input, blind)) in inputs.iter().zip(blinds).enumerate() {
        let made = VoprfClient::<S>::blind(input, &mut Script::of([blind])).unwrap();
        assert_eq!(made.message.serialize()[..], list(vector, "BlindedElement")[index]);
        clients.push(made.state);
        blinded.push(made.message);
    }
    let answer =
        server.batch_blind_evaluate(&mut Script::of([bytes(&vector["Proof"], "r")]), &blinded).unwrap();
    let evaluated: Vec<Vec<u8>> =
        answer.messages.iter().map(|element| element.serialize().to_vec()).collect();
    assert_eq!(evaluated, list(vector, "EvaluationElement"));
    let proof = bytes(&vector["Proof"], "proof");
    assert_eq!(answer.proof.serialize()[..], proof);

    let public_key = server.get_public_key();
    let finished =
        VoprfClient::batch_finalize(&inputs, &clients, &answer.messages, &answer.proof, public_key).unwrap();
    for ((input, finished), output) in inputs.iter().zip(finished).zip(outputs) {
        assert_eq!(finished.unwrap()[..], output);
        assert_eq!(server.evaluate(input).unwrap()[..], output);
    }

    // A proof by another key's holder is none.
    let other = VoprfServer::<S>::new_from_seed(&[7; 32], b"another").unwrap().get_public_key();
    assert!(VoprfClient::batch_finalize(&inputs, &clients, &answer.messages, &answer.proof, other).is_err());
    // Nor is one whose bits are turned over.
    let mut flipped = proof;
    flipped[S::SCALAR_BYTES / 2] ^= 1;
    let flipped = Proof::deserialize(&flipped).unwrap();
    assert!(VoprfClient::batch_finalize(&inputs, &clients, &answer.messages, &flipped, public_key).is_err());
    assert!(BlindedElement::<S>::deserialize(&S::Group::serialize_elem(S::Group::identity_elem())).is_err());
}

#[test]
fn every_vector_of_rfc_9497_for_our_suites_comes_out() {
    for file in ["rfc9497/allVectors.cfrg-repo.json", "rfc9497/rfc9497.circl.json"] {
        let mut run = Vec::new();
        for suite in vectors(file).iter().filter(|suite| suite["mode"] == 1) {
            match suite["identifier"].as_str().unwrap() {
                "ristretto255-SHA512" => run.push(rfc9497::<Ristretto255>(suite)),
                "P384-SHA384" => run.push(rfc9497::<P384>(suite)),
                _ => {}
            }
        }
        assert_eq!(run, [3, 3], "{file}");
    }
}

/// One key with its tokens, whatever its maker calls the fields.
struct Issuance<S: Suite> {
    key: Key<S>,
    challenge_digest: [u8; 32],
    /// Of each token, its nonce and its blind.
    random: Vec<Vec<u8>>,
    tokens: Vec<Vec<u8>>,
}

impl<S: Suite> Issuance<S> {
    fn of(vector: &Value) -> Self {
        let either = |names: [&str; 2]| {
            let name = names.into_iter().find(|name| !vector[*name].is_null());
            bytes(vector, name.unwrap_or_else(|| panic!("{names:?} is in {vector}")))
        };
        let several = |one: &str, many: &str| match vector[many].as_array() {
            Some(values) => values.iter().map(|value| from_hex(value.as_str().unwrap())).collect(),
            None => vec![bytes(vector, one)],
        };
        let key = Key::<S>::from_secret(&either(["skS", "sk_s"])).unwrap();
        assert_eq!(key.public_key(), either(["pkS", "pk_s"]));
        let challenge_digest = digest(&SHA256, &bytes(vector, "token_challenge"));
        let nonces: Vec<Vec<u8>> = several("nonce", "nonces");
        let blinds = several("blind", "blinds");
        Self {
            key,
            challenge_digest: challenge_digest.as_ref().try_into().unwrap(),
            random: nonces.into_iter().zip(blinds).flat_map(|(nonce, blind)| [nonce, blind]).collect(),
            tokens: several("token", "tokens"),
        }
    }

    /// Runs it against what another maker sent and was answered.
    fn run(&self, framing: Framing, request: &[u8], response: &[u8]) {
        let public_key = self.key.public_key();
        let wanted = want(&public_key, self.tokens.len(), &self.challenge_digest);
        let mut random = Script::of(self.random.clone());
        let (ours, state) = client::request::<S>(framing, &wanted, &mut random).unwrap();
        assert_eq!(ours, request);
        assert_eq!(framing.request_count::<S>(request), self.tokens.len());

        // The proof is randomized, and everything before it is not.
        let answer = self.key.issue(framing, request, &mut system()).unwrap();
        let proof_bytes = 2 * S::SCALAR_BYTES;
        assert_eq!(answer[..answer.len() - proof_bytes], response[..response.len() - proof_bytes]);
        for response in [response, &answer] {
            let tokens = client::finish::<S>(framing, &state, response).unwrap();
            assert_eq!(tokens.iter().map(whole).collect::<Vec<_>>(), self.tokens);
        }
        let mut flipped = response.to_vec();
        flipped[response.len() - proof_bytes + S::SCALAR_BYTES / 2] ^= 1;
        assert_eq!(client::finish::<S>(framing, &state, &flipped).err(), Some(Fault::Refused));

        for token in &self.tokens {
            let (input, authenticator) = token.split_first_chunk().unwrap();
            assert_eq!(self.key.authenticator(input).unwrap().as_slice(), authenticator);
        }
    }
}

fn whole(token: &Token) -> Vec<u8> {
    [token.token_input.as_slice(), &token.authenticator].concat()
}

fn run_file<S: Suite>(file: &str, framing: Framing) -> usize {
    let vectors = vectors(&format!("rfc9578/{file}.json"));
    for vector in &vectors {
        let issuance = Issuance::<S>::of(vector);
        issuance.run(framing, &bytes(vector, "token_request"), &bytes(vector, "token_response"));
    }
    vectors.len()
}

#[test]
fn tokens_of_type_1_by_all_makers_come_out() {
    let mut count = 0;
    for file in [
        "pat-go.type1-issuance",
        "rs-repo.private_p384_go",
        "rs-repo.private_p384_rs",
        "ts-repo.priv_verif_rfc9578.go",
        "ts-repo.priv_verif_rfc9578.rust",
    ] {
        count += run_file::<P384>(file, Framing::Single);
    }
    for file in ["rs-repo.amortized_p384_go", "rs-repo.amortized_p384_rs"] {
        count += run_file::<P384>(file, Framing::Batch);
    }
    assert_eq!(count, 35);
}

#[test]
fn tokens_of_type_5_by_all_makers_come_out() {
    let mut count = 0;
    for file in
        ["pat-go.type5-issuance", "rs-repo.private_ristretto255_go", "rs-repo.private_ristretto255_rs"]
    {
        count += run_file::<Ristretto255>(file, Framing::Single);
    }
    for file in ["rs-repo.amortized_ristretto255_go", "rs-repo.amortized_ristretto255_rs"] {
        count += run_file::<Ristretto255>(file, Framing::Batch);
    }
    assert_eq!(count, 25);
}

/// One token out of a request for tokens of several types: its own request and response lie somewhere inside.
fn run_inside<S: Suite>(one: &Value, request: &[u8], response: &[u8]) {
    let issuance = Issuance::<S>::of(one);
    let public_key = issuance.key.public_key();
    let wanted = want(&public_key, 1, &issuance.challenge_digest);
    let mut random = Script::of(issuance.random.clone());
    let (ours, _) = client::request::<S>(Framing::Single, &wanted, &mut random).unwrap();
    assert!(find(request, &ours).is_some());
    let answer = issuance.key.issue(Framing::Single, &ours, &mut system()).unwrap();
    let begin = find(response, &answer[..S::ELEMENT_BYTES]).unwrap();
    issuance.run(Framing::Single, &ours, &response[begin..begin + answer.len()]);
}

fn find(whole: &[u8], part: &[u8]) -> Option<usize> {
    whole.windows(part.len()).position(|window| window == part)
}

#[test]
fn tokens_inside_requests_for_several_types_come_out() {
    let (mut type_1, mut type_5) = (0, 0);
    for file in [
        "pat-go.batched-issuance",
        "rs-repo.generic_go",
        "rs-repo.generic_rs",
        "rs-repo.generic_ts",
        "ts-repo.generic_batched_tokens_v6_go",
        "ts-repo.generic_batched_tokens_v6_rs",
    ] {
        for vector in vectors(&format!("rfc9578/{file}.json")) {
            let [request, response] = ["token_request", "token_response"].map(|name| bytes(&vector, name));
            for one in vector["issuance"].as_array().unwrap() {
                let token_type = one["type"].as_str().or(one["token_type"].as_str());
                match token_type.expect("each has a type") {
                    "0001" => {
                        run_inside::<P384>(one, &request, &response);
                        type_1 += 1;
                    }
                    "0005" => {
                        run_inside::<Ristretto255>(one, &request, &response);
                        type_5 += 1;
                    }
                    other => assert_eq!(other, "0002"),
                }
            }
        }
    }
    assert_eq!((type_1, type_5), (21, 1));
}
