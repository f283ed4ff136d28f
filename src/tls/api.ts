/** Certificates, for the operator. A private key comes in and never goes out. */
import { readBody } from "../api-body.ts";
import { needText, takePart, takeText } from "../api-fields.ts";
import { recordDeed } from "../audit/audit.ts";
import type { Deps } from "../deps.ts";
import { covers } from "../host-names.ts";
import type { Ctx, Route } from "../http.ts";
import { listHosts } from "../pages/pages.ts";
import { iso } from "../statuspage/shapes.ts";
import {
  type Certificate,
  type Chooser,
  chooserOf,
  findCertificate,
  listCertificates,
  removeCertificate,
  stateOf,
} from "./certificates.ts";
import { importCertificate } from "./imported.ts";

export function certificateApi(deps: Deps): Route[] {
  const { db, keys, clock, certificates } = deps;
  const shapesOf = (wanted: Certificate[]) => {
    const names = listHosts(db).map((host) => host.name);
    // What can't be read takes no other's place.
    const chosen = chooserOf(listCertificates(db).filter(({ id }) => !certificates.isUnusable(id)));
    return wanted.map((certificate) => shapeOf(certificate, names, chosen));
  };
  const shape = (certificate: Certificate) => shapesOf([certificate])[0];
  const shapeOf = (certificate: Certificate, names: string[], chosen: Chooser) => {
    const hosts = names.filter((host) => certificate.names.some((name) => covers(name, host)));
    return {
      id: certificate.id,
      names: certificate.names,
      /** Hosts of the table that it can serve. */
      hosts,
      /** Those of them that are served with it and no other. */
      serves: hosts.filter((host) => chosen(host, clock.now())?.id === certificate.id),
      issuer: certificate.issuer,
      state: stateOf(certificate, clock.now()),
      not_before: iso(certificate.notBefore),
      not_after: iso(certificate.notAfter),
      created_at: iso(certificate.createdAt),
    };
  };
  const idOf = (c: Ctx) => c.req.param("id") ?? "";

  const create = async (c: Ctx) => {
    const fields = takePart(await readBody(c), "certificate");
    const [chain, key, authority] = [needText(fields, "chain"), needText(fields, "key"), takeText(fields, "authority")];
    const { certificate, isNew } = db.transaction((tx) => {
      const before = listCertificates(tx);
      const kept = importCertificate(tx, { chain, key, authority, keys, now: clock.now() });
      if (before.some(({ id }) => id === kept.id)) return { certificate: kept, isNew: false };
      const subject = kept.names.join(", ");
      recordDeed(tx, c.get("actor"), clock.now(), { action: "certificate.import", subject });
      return { certificate: kept, isNew: true };
    });
    if (isNew) certificates.reload();
    return c.json(shape(certificate), isNew ? 201 : 200);
  };
  const remove = (c: Ctx) => {
    const gone = db.transaction((tx) => {
      const certificate = removeCertificate(tx, idOf(c));
      const subject = certificate.names.join(", ");
      recordDeed(tx, c.get("actor"), clock.now(), { action: "certificate.remove", subject });
      return certificate;
    });
    certificates.reload();
    return c.json(shape(gone));
  };

  const operator = { who: "operator" } as const;
  return [
    {
      method: "GET",
      path: "/v1/certificates",
      enter: operator,
      run: (c) => c.json(shapesOf(listCertificates(db))),
    },
    { method: "POST", path: "/v1/certificates", enter: operator, run: create },
    {
      method: "GET",
      path: "/v1/certificates/:id",
      enter: operator,
      run: (c) => c.json(shape(findCertificate(db, idOf(c)))),
    },
    { method: "DELETE", path: "/v1/certificates/:id", enter: operator, run: remove },
  ];
}
