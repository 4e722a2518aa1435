package reference

import (
	"regexp"
	"strings"
)

// Manual returns the reference as a manual page, imprint.toml(5), in the macros of man(7). It has no date.
func Manual() []byte {
	var p page
	p.line(".TH IMPRINT.TOML 5 \"\" imprint")
	p.section("NAME")
	p.line("imprint.toml \\- description of a disk image")
	for _, t := range topics {
		p.section(strings.ToUpper(t.title))
		for _, paragraph := range t.paragraphs {
			p.paragraph(paragraph)
		}
	}
	for _, t := range texts() {
		header := t.Header
		if header == "" {
			header = "KEYS AT THE TOP"
		}
		p.section(header)
		if t.Doc != "" {
			p.paragraph(t.Doc)
		}
		for _, k := range t.Keys {
			p.line(".TP")
			p.line(".B " + escaped(k.Name))
			p.line(escaped(k.Doc))
			p.line(".br")
			p.line(marked(strings.Join(facts(k), "; ")))
		}
	}
	p.section("SEE ALSO")
	p.line(".BR imprint (1),\n.BR imprint-build (1),\n.BR imprint-plan (1),\n.BR imprint-init (1)")
	return []byte(p.String())
}

// A page is a manual page.
type page struct{ strings.Builder }

func (p *page) line(text string) { p.WriteString(text + "\n") }

func (p *page) section(title string) { p.line(".SH \"" + escaped(title) + "\"") }

// paragraph writes a paragraph of a topic.
func (p *page) paragraph(text string) {
	example, ok := strings.CutPrefix(text, " ")
	if !ok {
		p.line(".PP\n" + marked(text))
		return
	}
	p.line(".PP\n.nf\n.RS")
	for line := range strings.SplitSeq(example, "\n") {
		p.line(escaped(strings.TrimPrefix(line, " ")))
	}
	p.line(".RE\n.fi")
}

// marked is a text in which `code` is bold.
func marked(text string) string {
	parts := strings.Split(text, "`")
	for i, part := range parts {
		if parts[i] = escaped(part); i%2 == 1 {
			parts[i] = "\\fB" + parts[i] + "\\fR"
		}
	}
	return strings.Join(parts, "")
}

// escaper makes characters that troff changes literal (groff_char(7)). A hyphen becomes a minus, so that what is copied from the page is ASCII.
var escaper = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`, `"`, `\(dq`,
	"…", "...", "@", `\:@`)

// halfDigest matches half of a SHA-256, after which a line may be broken, since the whole is too long for a terminal.
var halfDigest = regexp.MustCompile("[0-9a-f]{32}")

// escaped is a text as troff takes it, not as a request at the beginning of a line.
func escaped(text string) string {
	text = halfDigest.ReplaceAllString(escaper.Replace(text), `$0\:`)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return text
}
