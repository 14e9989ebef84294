// nodemailer's pool of 16 connections, the same personal mail: prints mails per second.
const [port, modules] = process.argv.slice(2);
const nodemailer = require(modules + "/nodemailer");
const mail = JSON.parse(require("fs").readFileSync(0, "utf-8"));
const fill = (text, said) => text.replace(/\{(\w+)\}/g, (_, slot) => said[slot]);
const pool = nodemailer.createTransport({
  host: "127.0.0.1", port: Number(port), secure: false, ignoreTLS: true,
  pool: true, maxConnections: 16, maxMessages: Infinity,
});
const begun = process.hrtime.bigint();
Promise.all(mail.values.map((said, person) => pool.sendMail({
  from: "orders@example.org", to: `p${person}@example.org`, subject: mail.subject,
  text: fill(mail.text, said), html: fill(mail.html, said),
}))).then(() => {
  const seconds = Number(process.hrtime.bigint() - begun) / 1e9;
  console.log(mail.values.length / seconds);
  pool.close();
}).catch((error) => { console.error(error); process.exit(1); });
