// The npm library privacypass-ts as the other side of blind RSA tokens (RFC 9578): tokens.mjs PARTY, a program that
// talks as plugins/rate-blind-signature/examples/blind_party.rs does. Prints what holds; the first that does not ends it.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { AuthorizationHeader, publicVerif, TokenChallenge, WWWAuthenticateHeader } from "@cloudflare/privacypass-ts";

const { BlindRSAMode, Client, Issuer, BLIND_RSA, TokenRequest, getPublicKeyBytes } = publicVerif;
const bytes = (text) => Uint8Array.from(Buffer.from(text, "hex"));
const hex = (array) => Buffer.from(array).toString("hex");
let passed = 0;

function check(what, good) {
  if (!good) throw new Error(`FAILED: ${what}`);
  passed += 1;
  console.log(`  ${what}`);
}

const flipped = (array, index) => array.with(index, array[index] ^ 1);

async function refuses(work) {
  try {
    await work();
    return false;
  } catch {
    return true;
  }
}

// Herald, a question and an answer at a time.
const party = spawn(process.argv[2], { stdio: ["pipe", "pipe", "inherit"] });
const answers = createInterface({ input: party.stdout })[Symbol.asyncIterator]();
async function ask(...words) {
  party.stdin.write(`${words.join(" ")}\n`);
  return (await answers.next()).value;
}

async function digest(array) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", array));
}

const challenge = new TokenChallenge(2, "cps.example.net", new Uint8Array(), ["cps.example.net"]);

// Their client, our issuer.
async function theirTokensOfOurs() {
  // The key and the challenge as a service gives them in its 401.
  const key = bytes(await ask("key"));
  const header = new WWWAuthenticateHeader(challenge, key).toString(true);
  const [{ challenge: given, tokenKey }] = WWWAuthenticateHeader.parse(header);
  const client = new Client(BlindRSAMode.PSS);
  const request = (await client.createTokenRequest(given, tokenKey)).serialize();
  check("Herald refuses a request of privacypass-ts for another key", (await ask("issue", hex(flipped(request, 2)))) === "refused");
  const response = bytes(await ask("issue", hex(request)));
  check("privacypass-ts refuses a response with a flipped bit", await refuses(() => client.finalize(client.deserializeTokenResponse(flipped(response, 9)))));
  const token = await client.finalize(client.deserializeTokenResponse(response));
  // As it travels: base64url in a header.
  const [{ token: shown }] = AuthorizationHeader.parse(BLIND_RSA, new AuthorizationHeader(token).toString(true));
  const sent = shown.serialize();
  check("Herald takes the token that privacypass-ts made", (await ask("redeem", hex(sent))) === "accepted");
  for (const index of [1, 2, 40, 90, 98, sent.length - 1]) {
    check(`Herald refuses it with a flipped bit in byte ${index}`, (await ask("redeem", hex(flipped(sent, index)))) === "refused");
  }
}

// Our client, their issuer.
async function ourTokensOfTheirs() {
  const keys = await Issuer.generateKey(BlindRSAMode.PSS, { modulusLength: 2048, publicExponent: Uint8Array.from([1, 0, 1]) });
  const issuer = new Issuer(BlindRSAMode.PSS, "cps.example.net", keys.privateKey, keys.publicKey);
  const key = await getPublicKeyBytes(keys.publicKey);
  const challengeDigest = await digest(challenge.serialize());
  const request = bytes(await ask("request", hex(key), hex(challengeDigest)));
  check("Herald asks for the key by the last byte of its id", request[2] === (await digest(key))[31]);
  const response = (await issuer.issue(TokenRequest.deserialize(BLIND_RSA, request))).serialize();
  check("Herald refuses a response with a flipped bit", (await ask("finish", hex(flipped(response, 9)))) === "refused");
  const token = bytes(await ask("finish", hex(response)));
  const header = `PrivateToken token="${Buffer.from(token).toString("base64url")}"`;
  const [{ token: parsed }] = AuthorizationHeader.parse(BLIND_RSA, header);
  check("privacypass-ts takes the token that Herald made", await issuer.verify(parsed));
  check("it is for the challenge", hex(parsed.authInput.challengeDigest) === hex(challengeDigest));
  const [{ token: wrong }] = AuthorizationHeader.parse(BLIND_RSA, `PrivateToken token="${Buffer.from(flipped(token, 5)).toString("base64url")}"`);
  check("privacypass-ts refuses it with a flipped bit", !(await issuer.verify(wrong)));
}

await theirTokensOfOurs();
await ourTokensOfTheirs();
party.stdin.end();
console.log(`tests/interop: all ${passed} checks of tokens passed`);
