// A client written with the npm library privacypass-ts gets a token from a running service and stores with it:
// issuance.mjs HERALD PLUGIN FOLDER, the program, the plugin rate-blind-signature as a shared object, and a folder of its
// own. The token is asked for with an access token that a STIR certificate signs. Prints what holds; the first that does
// not ends it.
import { spawn, spawnSync } from "node:child_process";
import { createPrivateKey, randomBytes, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { request } from "node:https";
import { createInterface } from "node:readline";
import { AuthorizationHeader, MediaType, publicVerif, WWWAuthenticateHeader } from "@cloudflare/privacypass-ts";

const [program, plugin, folder] = process.argv.slice(2);
const NUMBER = "12155551212";
const STORE = "/cps/12355551212/ppts";
const ISSUER = "cps.example.net";
let passed = 0;

function check(what, good) {
  if (!good) throw new Error(`FAILED: ${what}`);
  passed += 1;
  console.log(`  ${what}`);
}

const keys = `${folder}/keys`;
const made = spawnSync(program, ["keygen", "--out", keys, "--authority", `${keys}/authority`, "--number", NUMBER]);
check("a signer with a certificate", made.status === 0);

// The service, which says where it listens and whose certificate to trust.
const service = spawn(program, [
  "serve", "--dev", "--listen", "127.0.0.1:0", "--data", `${folder}/data`, "--plugins", plugin,
  "--admission", "rate-blind-signature", "--token-name", ISSUER, "--token-roots", `${keys}/authority/roots.pem`,
], { stdio: ["ignore", "pipe", "inherit"] });
process.on("exit", () => service.kill());

async function listening() {
  for await (const line of createInterface({ input: service.stdout })) {
    const found = /^listening (https:\S+) ca=(.*)$/.exec(line);
    if (found) return { url: new URL(found[1]), ca: readFileSync(found[2]) };
  }
  throw new Error("FAILED: the service did not say that it listens");
}
const { url, ca } = await listening();

function http(method, path, headers = {}, body = undefined) {
  return new Promise((resolve, reject) => {
    const asked = request(new URL(path, url), { method, headers, ca }, (answer) => {
      const parts = [];
      answer.on("data", (part) => parts.push(part));
      answer.on("end", () => resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(parts) }));
    });
    asked.on("error", reject);
    asked.end(body);
  });
}

// A JWS that the certificate's key signs, good once.
function accessToken(path) {
  const chain = readFileSync(`${keys}/signing.pem`, "utf8").match(/-----BEGIN CERTIFICATE-----[^-]*/g);
  const header = { alg: "ES256", typ: "stir-access+jwt", x5c: chain.map((pem) => pem.split("\n").slice(1).join("")) };
  const payload = { aud: `https://${ISSUER}${path}`, iat: Math.floor(Date.now() / 1000), jti: randomBytes(16).toString("hex") };
  const input = [header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
  const key = createPrivateKey(readFileSync(`${keys}/signing.key`));
  const signature = sign("sha256", Buffer.from(input), { key, dsaEncoding: "ieee-p1363" });
  return `${input}.${signature.toString("base64url")}`;
}

const store = (body, headers = {}) => http("POST", STORE, { "Content-Type": "application/passport", ...headers }, body);
const [body, other] = [randomBytes(640), randomBytes(640)];

const refused = await store(body);
check("a store without a token is refused with a challenge", refused.status === 401);
const [{ challenge, tokenKey }] = WWWAuthenticateHeader.parse(refused.headers["www-authenticate"]);
check("the challenge is the service's", challenge.tokenType === 2 && challenge.issuerName === ISSUER);
const directory = JSON.parse((await http("GET", "/.well-known/private-token-issuer-directory")).body);
const offered = directory["token-keys"].map((key) => Buffer.from(key["token-key"], "base64url").toString("hex"));
check("its key is in the issuer directory", offered.includes(Buffer.from(tokenKey).toString("hex")));

const client = new publicVerif.Client(publicVerif.BlindRSAMode.PSS);
const asked = (await client.createTokenRequest(challenge, tokenKey)).serialize();
const path = directory["issuer-request-uri"];
const ask = (headers) => http("POST", path, { "Content-Type": MediaType.PRIVATE_TOKEN_REQUEST, ...headers }, asked);
check("nobody gets a token without saying who asks", (await ask({})).status === 401);
const bearer = `Bearer ${accessToken(path)}`;
const issued = await ask({ Authorization: bearer });
check("the holder of a certificate gets one", issued.status === 200 && issued.headers["content-type"] === MediaType.PRIVATE_TOKEN_RESPONSE);
check("but not twice for one access token", (await ask({ Authorization: bearer })).status === 401);
const token = await client.finalize(client.deserializeTokenResponse(new Uint8Array(issued.body)));

const authorization = new AuthorizationHeader(token).toString(true);
const flipped = token.serialize();
flipped[200] ^= 1;
const forged = `PrivateToken token="${Buffer.from(flipped).toString("base64").replaceAll("+", "-").replaceAll("/", "_")}"`;
check("a token with a flipped bit stores nothing", (await store(body, { Authorization: forged })).status === 401);
const stored = await store(body, { Authorization: authorization });
check("the token stores", stored.status === 201);
check("it stores no second time", (await store(other, { Authorization: authorization })).status === 401);
const found = (await http("GET", stored.headers.location)).body;
check("what was stored can be retrieved", found.equals(body));
console.log(`tests/interop: all ${passed} checks of issuance passed`);
process.exit(0);
