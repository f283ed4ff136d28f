/** What root makes inside the data folder belongs to the folder's owner, or the service that runs as that owner can't use it. */
import { lchownSync, lstatSync, statSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";

/** Gives a path inside the folder, and the folders on the way to it, to the folder's owner. Others are left as they are. */
export function giveToOwner(folder: string, path: string): void {
  if (process.getuid?.() !== 0) return;
  const root = resolve(folder);
  const { uid, gid } = statSync(root);
  const way = relative(root, resolve(path));
  if (uid === 0 || way === "" || way === ".." || way.startsWith(`..${sep}`)) return;
  for (let at = way; at !== "."; at = dirname(at)) {
    const one = join(root, at);
    // Links aren't followed: the folder's owner made them, and root's right isn't theirs.
    if (lstatSync(one, { throwIfNoEntry: false })) lchownSync(one, uid, gid);
  }
}
