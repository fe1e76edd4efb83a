declare const split: {
  /** Number of buckets: a share can be as fine as a hundredth of a percent. */
  readonly BUCKETS: number;
  /** Returns the bucket, 0 to 9,999, of a user's id (32 hexadecimal digits) under a seed. */
  bucket(id: string, seedBits: number): number;
  /** Turns a salt, any text, into a seed for `bucket`. */
  seed(salt: string): number;
};
export default split;
