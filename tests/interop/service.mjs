// A service that the checks of tokens talk to: the program, started with one plugin for tokens, a holder of a number with
// a certificate, and HTTPS to it.
import { spawn, spawnSync } from "node:child_process";
import { createPrivateKey, randomBytes, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { request } from "node:https";
import { createInterface } from "node:readline";

const NUMBER = "12155551212";
export const CALLED = "12355551212";
export const STORE = `/cps/${CALLED}/ppts`;
export const ISSUER = "cps.example.net";
export const DIRECTORY = "/.well-known/private-token-issuer-directory";
let passed = 0;

// Prints what holds; the first that does not ends it.
export function check(what, good) {
  if (!good) throw new Error(`FAILED: ${what}`);
  passed += 1;
  console.log(`  ${what}`);
}

export const base64url = (array) =>
  Buffer.from(array).toString("base64").replaceAll("+", "-").replaceAll("/", "_");
export const privateToken = (token) => `PrivateToken token="${base64url(token)}"`;

export function finish(what) {
  console.log(`tests/interop: all ${passed} checks of ${what} passed`);
  process.exit(0);
}

export class Service {
  // Starts `program` with the shared object `plugin`, which calls itself `admission`. `folder` is a folder of its own.
  static async start(program, plugin, admission, folder) {
    const keys = `${folder}/keys`;
    const made = spawnSync(program, ["keygen", "--out", keys, "--authority", `${keys}/authority`, "--number", NUMBER]);
    check("a signer with a certificate", made.status === 0);
    // The service says where it listens and whose certificate to trust.
    const child = spawn(program, [
      "serve", "--dev", "--listen", "127.0.0.1:0", "--data", `${folder}/data`, "--plugins", plugin,
      "--admission", admission, "--token-name", ISSUER, "--token-roots", `${keys}/authority/roots.pem`,
    ], { stdio: ["ignore", "pipe", "inherit"] });
    process.on("exit", () => child.kill());
    for await (const line of createInterface({ input: child.stdout })) {
      const found = /^listening (https:\S+) ca=(.*)$/.exec(line);
      if (found) return new Service(child, keys, new URL(found[1]), readFileSync(found[2]));
    }
    throw new Error("FAILED: the service did not say that it listens");
  }

  constructor(child, keys, url, ca) {
    Object.assign(this, { child, keys, url, ca });
  }

  async stop() {
    const ended = new Promise((resolve) => this.child.on("exit", resolve));
    this.child.kill();
    await ended;
  }

  http(method, path, headers = {}, body = undefined) {
    return new Promise((resolve, reject) => {
      const asked = request(new URL(path, this.url), { method, headers, ca: this.ca }, (answer) => {
        const parts = [];
        answer.on("data", (part) => parts.push(part));
        answer.on("end", () => resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(parts) }));
      });
      asked.on("error", reject);
      asked.end(body);
    });
  }

  store(body, headers = {}) {
    return this.http("POST", STORE, { "Content-Type": "application/passport", ...headers }, body);
  }

  async directory() {
    return JSON.parse((await this.http("GET", DIRECTORY)).body);
  }

  // A JWS that the certificate's key signs, good once.
  accessToken(path) {
    const chain = readFileSync(`${this.keys}/signing.pem`, "utf8").match(/-----BEGIN CERTIFICATE-----[^-]*/g);
    const header = { alg: "ES256", typ: "stir-access+jwt", x5c: chain.map((pem) => pem.split("\n").slice(1).join("")) };
    const payload = { aud: `https://${ISSUER}${path}`, iat: Math.floor(Date.now() / 1000), jti: randomBytes(16).toString("hex") };
    const input = [header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
    const key = createPrivateKey(readFileSync(`${this.keys}/signing.key`));
    const signature = sign("sha256", Buffer.from(input), { key, dsaEncoding: "ieee-p1363" });
    return `${input}.${signature.toString("base64url")}`;
  }
}
