// One request by the client that is named; prints what it learned.
const [client, url] = process.argv.slice(2);
const fetched = fetch => fetch(url).then(answer => answer.text());
const clients = {
    https: () => new Promise((done, failed) => require('https').get(url, answer => {
        let text = '';
        answer.on('data', data => { text += data; }).on('end', () => done(text));
    }).on('error', failed)),
    fetch: () => fetched(fetch),
    undici: () => require('undici').request(url).then(answer => answer.body.text()),
    axios: () => require('axios').get(url, { validateStatus: () => true }).then(answer => answer.data),
    got: () => require('got')(url, { throwHttpErrors: false, retry: 0 }).then(answer => answer.body),
    'node-fetch': () => fetched(require('node-fetch')),
    superagent: () => require('superagent').get(url).ok(() => true).then(answer => answer.text),
    needle: () => require('needle')('get', url).then(answer => String(answer.body)),
};
clients[client]().then(text => console.log(text), error => console.log(String(error), error.cause ?? ''));
