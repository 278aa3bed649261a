const url = globalThis.Deno ? Deno.args[0] : process.argv[2];
try {
    console.log(await (await fetch(url)).text());
} catch (error) {
    console.log(String(error));
}
