import type { SecureContextOptions } from "node:tls";

/**
 * TLS 1.3, and of 1.2 only what keeps its secrets when the key is lost later (RFC 9325, 4.2). Keys are agreed on by the groups
 * that every client of today has one of (RFC 8446, 9.1): of what OpenSSL offers besides, P-384, P-521 and ffdhe3072 would cost
 * the server up to ten times as much, at the asking of anybody.
 */
export const posture: SecureContextOptions = {
  minVersion: "TLSv1.2",
  ecdhCurve: "X25519MLKEM768:X25519:P-256",
  ciphers: [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
  ].join(":"),
};
