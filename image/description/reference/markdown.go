package reference

import (
	"fmt"
	"strings"
)

// Markdown returns the reference as a page in Markdown.
func Markdown() []byte {
	var b strings.Builder
	b.WriteString("# The description\n\n<!-- written by make golden; the texts are in image/description -->\n")
	for _, t := range topics {
		fmt.Fprintf(&b, "\n## %s\n", t.title)
		for _, p := range t.paragraphs {
			if strings.HasPrefix(p, " ") {
				p = "```\n" + strings.ReplaceAll(p[1:], "\n ", "\n") + "\n```"
			}
			b.WriteString("\n" + p + "\n")
		}
	}
	b.WriteString("\n## Keys\n")
	for _, t := range texts() {
		header := "At the top"
		if t.Header != "" {
			header = "`" + t.Header + "`"
		}
		fmt.Fprintf(&b, "\n### %s\n\n", header)
		if t.Doc != "" {
			b.WriteString(t.Doc + "\n\n")
		}
		for _, k := range t.Keys {
			fmt.Fprintf(&b, "* **`%s`** (%s). %s\n", k.Name, strings.Join(facts(k), "; "), k.Doc)
		}
	}
	return []byte(b.String())
}
