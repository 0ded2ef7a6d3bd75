// SPDX-License-Identifier: ISC
// validate.mjs OPENAPI.JSON VALIDATOR: whether the document is one of OpenAPI
// 3.1, its references lead somewhere, each path has its parameters, and no two
// operations have one name.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [file, directory] = process.argv.slice(2);
const entry = createRequire(directory + "/package.json")
    .resolve("@seriousme/openapi-schema-validator");
const { Validator } = await import(pathToFileURL(entry));
const document = JSON.parse(readFileSync(file, "utf8"));
const faults = [];

const validator = new Validator();
const result = await validator.validate(structuredClone(document));
if (!result.valid)
    faults.push(JSON.stringify(result.errors, null, 1));
if (validator.version !== "3.1")
    faults.push(`version ${validator.version}`);

function at(pointer) {
    return pointer.slice(2).split("/").reduce((node, name) => node?.[name],
        document);
}

function follow(node, where) {
    if (node === null || typeof node !== "object")
        return;
    if (typeof node.$ref === "string" && at(node.$ref) === undefined)
        faults.push(`${where}: ${node.$ref} is not there`);
    for (const [name, value] of Object.entries(node))
        follow(value, `${where}/${name}`);
}
follow(document, "#");

const seen = new Set();
let n = 0;
for (const [path, item] of Object.entries(document.paths)) {
    const wanted = [...path.matchAll(/\{(\w+)\}/g)].map((m) => m[1]);
    for (const [method, operation] of Object.entries(item)) {
        if (method === "parameters")
            continue;
        const given = [...item.parameters ?? [], ...operation.parameters ?? []]
            .map((p) => p.$ref ? at(p.$ref) : p)
            .filter((p) => p?.in === "path").map((p) => p.name);
        if (String(given) !== String(wanted))
            faults.push(`${method} ${path}: parameters ${given}`);
        if (seen.has(operation.operationId))
            faults.push(`${operation.operationId} comes twice`);
        seen.add(operation.operationId);
        n++;
    }
}
for (const fault of faults)
    console.error(fault);
console.log(`check-openapi: ${n} operations, ${faults.length} faults`);
process.exit(faults.length > 0 ? 1 : 0);
