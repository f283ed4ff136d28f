/** Members and API tokens, for the operator alone: whoever could make these here could make themselves anything. */
import { type BodyRecord, readBody } from "../api-body.ts";
import { needText, takeClearable, takeList, takePart } from "../api-fields.ts";
import type { Deps } from "../deps.ts";
import { UserError } from "../errors.ts";
import type { Ctx, Route } from "../http.ts";
import { findPage, originOf } from "../pages/pages.ts";
import type { Role } from "../schema.ts";
import { iso, isoOrNull } from "../statuspage/shapes.ts";
import { firstPageId } from "./guard.ts";
import {
  changeRoles,
  createMember,
  createSignInLink,
  findMemberByAddress,
  type Grant,
  grantsOf,
  linkLifeMs,
  listMembers,
  type Member,
  restoreMember,
  suspendMember,
} from "./members.ts";
import { type ApiToken, createToken, listTokens, requireRole, revokeToken } from "./tokens.ts";

export function memberApi(deps: Deps): Route[] {
  const { db, keys, clock } = deps;
  const doer = (c: Ctx) => ({ now: clock.now(), by: c.get("actor") });

  const addMember = async (c: Ctx) => {
    const fields = takePart(await readBody(c), "member");
    const member = createMember(db, {
      ...doer(c),
      address: needText(fields, "email"),
      roles: needRoles(fields),
      keys,
    });
    return c.json(memberShape({ ...member, grants: grantsOf(db, member.id) }), 201);
  };
  const setRoles = async (c: Ctx) => {
    const { id } = named(c);
    changeRoles(db, { ...doer(c), memberId: id, roles: needRoles(takePart(await readBody(c), "member")) });
    return c.json(memberShape({ ...named(c), grants: grantsOf(db, id) }));
  };
  const named = (c: Ctx): Member => {
    const address = c.req.param("address") ?? "";
    const member = findMemberByAddress(db, { address, keys });
    if (!member) throw new UserError("not_found", `No member has the address ${JSON.stringify(address)}.`);
    return member;
  };
  const changeWith = (change: typeof suspendMember) => (c: Ctx) => {
    const { id, address } = named(c);
    change(db, { ...doer(c), memberId: id });
    const member = findMemberByAddress(db, { address, keys }) as Member;
    return c.json(memberShape({ ...member, grants: grantsOf(db, id) }));
  };
  const makeLink = (c: Ctx) => {
    const member = named(c);
    if (member.suspended)
      throw new UserError(
        "conflict",
        "This member is suspended, so no link lets them in. To end that: candor member restore ADDRESS",
      );
    const secret = createSignInLink(db, { ...doer(c), memberId: member.id });
    const url = `${originOf(db, firstPageId(deps))}/admin/enter/${secret}`;
    return c.json({ url, expires_at: iso(clock.now() + linkLifeMs) }, 201);
  };

  const addToken = async (c: Ctx) => {
    const fields = takePart(await readBody(c), "token");
    const pageId = takeClearable(fields, "page_id") ?? undefined;
    if (pageId) findPage(db, pageId);
    const role = requireRole(needText(fields, "role"));
    const { secret, token } = createToken(db, { ...doer(c), name: needText(fields, "name"), role, pageId });
    return c.json({ ...tokenShape(token), secret }, 201);
  };
  const dropToken = (c: Ctx) => {
    revokeToken(db, { ...doer(c), id: c.req.param("id") ?? "" });
    return c.body(null, 204);
  };

  const enter = { who: "operator" } as const;
  return [
    { method: "GET", path: "/v1/members", enter, run: (c) => c.json(listMembers(db, keys).map(memberShape)) },
    { method: "POST", path: "/v1/members", enter, run: addMember },
    { method: "POST", path: "/v1/members/:address/link", enter, run: makeLink },
    { method: "PUT", path: "/v1/members/:address/roles", enter, run: setRoles },
    { method: "PUT", path: "/v1/members/:address/suspension", enter, run: changeWith(suspendMember) },
    { method: "DELETE", path: "/v1/members/:address/suspension", enter, run: changeWith(restoreMember) },
    { method: "GET", path: "/v1/tokens", enter, run: (c) => c.json(listTokens(db).map(tokenShape)) },
    { method: "POST", path: "/v1/tokens", enter, run: addToken },
    { method: "DELETE", path: "/v1/tokens/:id", enter, run: dropToken },
  ];
}

function needRoles(fields: BodyRecord): Role[] {
  const roles = (takeList(fields, "roles") ?? []).map(requireRole);
  if (roles.length === 0) throw new UserError("invalid", "Give the member at least one role.", { field: "roles" });
  return [...new Set(roles)];
}

function memberShape(member: Member & { grants: Grant[] }) {
  return {
    id: member.id,
    email: member.address,
    name: member.name ?? null,
    roles: member.grants.map((grant) => ({ role: grant.role, page_id: grant.pageId })),
    suspended: member.suspended,
    has_password: member.hasPassword,
  };
}

function tokenShape(token: ApiToken) {
  return {
    id: token.id,
    name: token.name,
    role: token.role,
    page_id: token.pageId,
    created_at: iso(token.createdAt),
    last_used_at: isoOrNull(token.lastUsedAt),
    revoked_at: isoOrNull(token.revokedAt),
  };
}
