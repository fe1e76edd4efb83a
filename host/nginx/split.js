/**
 * Which colour a user belongs to: pure arithmetic, run by njs for each request and by the conductor and the tests.
 *
 * An id is 32 hexadecimal digits that Nginx drew at random, so its first eight are 32 random bits. They are mixed with
 * a seed that belongs to the candidate's release, so that another part of the users goes first each time, and fall
 * into one of 10,000 buckets. The candidate owns the buckets below its share: as the share rises, the set of its users
 * only grows, and nobody goes back.
 */

/** Number of buckets: a share can be as fine as a hundredth of a percent. */
const BUCKETS = 10000;

/** Spreads 32 bits over 32 bits so that each one depends on all (the finalizer of MurmurHash3). */
function mix(bits) {
  let h = bits | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Turns a salt, any text, into a seed for {@link bucket}: FNV-1a over its characters. */
function seed(salt) {
  let h = 0x811c9dc5;
  for (let i = 0; i < salt.length; i++) {
    h = Math.imul(h ^ salt.charCodeAt(i), 0x01000193);
  }
  return h >>> 0;
}

/** Returns the bucket, 0 to 9,999, of a user's id (32 hexadecimal digits) under a seed. */
function bucket(id, seedBits) {
  return mix(parseInt(id.slice(0, 8), 16) ^ seedBits) % BUCKETS;
}

export default { BUCKETS, bucket, seed };
