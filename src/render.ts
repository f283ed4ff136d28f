/**
 * Handlebars, and the few helpers that templates may use. From source a template is compiled when it is used and again
 * when its file changed; the executable holds precompiled ones and can't compile at all (it runs without eval).
 * Names are paths below templates/ without `.hbs`; a name that ends in `.txt` is rendered without HTML escaping.
 */
import Handlebars from "handlebars";
import { fromSource, precompiled, templateNames, templateSource } from "./embedded.ts";

type TemplateSpecification = Parameters<typeof Handlebars.template>[0];

export type Render = (template: string, view: object) => string;

/** Options for compiling and precompiling alike, so that source and executable agree. */
export const compileOptions = (name: string) => ({
  noEscape: name.endsWith(".txt"),
  strict: false,
  preventIndent: true,
  knownHelpersOnly: true,
  knownHelpers: Object.fromEntries(Object.keys(helpers).map((helper) => [helper, true])),
});

const helpers: Record<string, Handlebars.HelperDelegate> = {
  eq: (a: unknown, b: unknown) => a === b,
  plural: (count: number, one: string, many: string) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`,
};

export function createRender(): Render {
  const handlebars = Handlebars.create();
  handlebars.registerHelper(helpers);
  const ready = new Map<string, { source: string; run: Handlebars.TemplateDelegate }>();

  const compile = (name: string): Handlebars.TemplateDelegate => {
    const source = templateSource(name);
    const known = ready.get(name);
    if (known?.source === source) return known.run;
    const run = handlebars.compile(source, compileOptions(name));
    ready.set(name, { source, run });
    return run;
  };
  const load = () => {
    for (const name of templateNames()) {
      if (name.startsWith("partials/") || name.startsWith("layouts/")) {
        handlebars.registerPartial(
          name,
          fromSource ? compile(name) : handlebars.template(precompiled[name] as TemplateSpecification),
        );
      }
    }
  };
  load();
  let loadedAt = performance.now();
  const finished = new Map<string, Handlebars.TemplateDelegate>();
  const prepared = (name: string): Handlebars.TemplateDelegate => {
    const run = finished.get(name) ?? handlebars.template(precompiled[name] as TemplateSpecification);
    finished.set(name, run);
    return run;
  };
  return (name, view) => {
    if (fromSource && performance.now() - loadedAt > 500) {
      load();
      loadedAt = performance.now();
    }
    const run = fromSource ? compile(name) : prepared(name);
    return run(view);
  };
}
