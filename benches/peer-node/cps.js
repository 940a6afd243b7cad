// A Call Placement Service as one writes it with Node and Redis: the placement is kept by Redis under the called
// number until it expires. A peer for benches/http.sh.
//
// Without TLS, admission and cover, and with one placement a number, the last one: less than Herald is asked for. Needs
// nothing but Node's own modules.
//
//   node cps.js REDIS_PORT
'use strict';

const crypto = require('node:crypto');
const http = require('node:http');
const net = require('node:net');

const RETENTION_SECONDS = '60';
const BODY_BYTES_MAX = 8192;
const PATH = /^\/cps\/(\d{3,15})\/ppts$/;

/** A client of Redis: commands go out as they come, replies come back in their order (RESP 2). */
class Redis {
    constructor(port) {
        this.waiting = [];
        this.unread = Buffer.alloc(0);
        this.socket = net.connect(port, '127.0.0.1');
        this.socket.setNoDelay(true);
        this.socket.on('data', (bytes) => this.take(bytes));
        this.socket.on('error', (error) => { throw error; });
    }

    /** Sends a command; `done(error, reply)` gets a string, or a Buffer, or null. */
    send(parts, done) {
        this.waiting.push(done);
        this.socket.cork();
        this.socket.write(`*${parts.length}\r\n`);
        for (const part of parts) {
            this.socket.write(`$${Buffer.byteLength(part)}\r\n`);
            this.socket.write(part);
            this.socket.write('\r\n');
        }
        this.socket.uncork();
    }

    take(bytes) {
        this.unread = this.unread.length === 0 ? bytes : Buffer.concat([this.unread, bytes]);
        for (;;) {
            const end = this.unread.indexOf('\r\n');
            if (end < 0) return;
            const line = this.unread.toString('latin1', 1, end);
            let next = end + 2;
            let reply = line;
            if (this.unread[0] === 0x24) {
                const length = Number(line);
                reply = length < 0 ? null : this.unread.subarray(next, next + length);
                next += length < 0 ? 0 : length + 2;
                if (this.unread.length < next) return;
            }
            const error = this.unread[0] === 0x2d ? new Error(line) : null;
            this.unread = this.unread.subarray(next);
            this.waiting.shift()(error, reply);
        }
    }
}

const redis = new Redis(Number(process.argv[2]));

function answer(response, status, headers, body) {
    response.writeHead(status, { 'Content-Length': Buffer.byteLength(body), ...headers });
    response.end(body);
}

function store(request, response, number) {
    const chunks = [];
    let size = 0;
    request.on('data', (chunk) => {
        size += chunk.length;
        if (size <= BODY_BYTES_MAX) chunks.push(chunk);
    });
    request.on('end', () => {
        if (size === 0 || size > BODY_BYTES_MAX) return answer(response, size === 0 ? 400 : 413, {}, '');
        const id = crypto.randomBytes(16).toString('hex');
        redis.send(['SETEX', number, RETENTION_SECONDS, Buffer.concat(chunks)], (error) => {
            if (error) return answer(response, 503, {}, '');
            answer(response, 201, { Location: `/cps/${number}/ppts/${id}` }, '');
        });
    });
}

function list(response, number) {
    redis.send(['GET', number], (error, body) => {
        if (error) return answer(response, 503, {}, '');
        const passports = body === null ? [] : [body.toString('base64')];
        answer(response, 200, { 'Content-Type': 'application/json' }, JSON.stringify({ passports }));
    });
}

const server = http.createServer((request, response) => {
    const [, number] = PATH.exec(request.url) || [];
    if (number === undefined) return answer(response, 404, {}, '');
    if (request.method === 'POST') return store(request, response, number);
    if (request.method === 'GET') return list(response, number);
    answer(response, 405, { Allow: 'GET, POST' }, '');
});
server.listen(0, '127.0.0.1', () => console.log(`listening http://127.0.0.1:${server.address().port}`));
