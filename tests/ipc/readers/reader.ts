// A captured ring (hwal tail --raw) by the official JavaScript library and flatc's TypeScript: reader.js FILE: one JSON object
// a line, 64-bit integers with all their digits. That library has no verifier.
import * as flatbuffers from 'flatbuffers';
import { readFileSync } from 'fs';
import { Record } from './hwal/record';

function text(value: any): string {
  if (Array.isArray(value)) {
    return '[' + value.map(text).join(',') + ']';
  }
  if (typeof value === 'bigint') {
    return value.toString();
  }
  if (value !== null && typeof value === 'object') {
    return '{' + Object.keys(value).map((key) => JSON.stringify(key) + ':' + text(value[key])).join(',') + '}';
  }
  return JSON.stringify(value);
}

const bytes = new flatbuffers.ByteBuffer(readFileSync(process.argv[2]));
for (let at = 0; at < bytes.capacity();) {
  const len = bytes.readUint32(at) + flatbuffers.SIZE_PREFIX_LENGTH;
  bytes.setPosition(at + flatbuffers.SIZE_PREFIX_LENGTH);
  if (!Record.bufferHasIdentifier(bytes)) {
    throw new Error(`byte ${at}: no HWAL`);
  }
  bytes.setPosition(at);
  console.log(text(Record.getSizePrefixedRootAsRecord(bytes).unpack()));
  at += len;
}
