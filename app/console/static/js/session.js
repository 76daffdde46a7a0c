// Who is signed in: the key, kept in this tab's own storage and gone with it, and what it may do.

const STORED = "gatewatch.key";
const ROLES = ["score", "fit", "admin"];

/** The name and role the service knows the key by; null until it was asked. */
export let me = null;

export function key() {
  return sessionStorage.getItem(STORED) ?? "";
}

export function begin(text, who) {
  if (text) sessionStorage.setItem(STORED, text);
  me = who;
}

export function end() {
  sessionStorage.removeItem(STORED);
  me = null;
}

/** Whether who is signed in may do what takes a role; what they may not is not offered. */
export function can(role) {
  return me !== null && ROLES.indexOf(me.role) >= ROLES.indexOf(role);
}
