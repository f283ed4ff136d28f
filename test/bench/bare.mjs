// The measure of a page's speed: a server that does nothing but answer the same bytes with the same headers.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const [port, bodyFile, headersFile] = process.argv.slice(2);
const body = readFileSync(bodyFile);
const headers = JSON.parse(readFileSync(headersFile, "utf8"));
const short = headers.filter((_, index) => !/^content-(?:length|type|encoding)$/.test(headers[index - (index % 2)]));
createServer((request, response) => {
  if (request.headers["if-none-match"]) {
    response.writeHead(304, short);
    response.end();
    return;
  }
  response.writeHead(200, headers);
  response.end(body);
}).listen(Number(port), "127.0.0.1");
