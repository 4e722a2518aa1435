package menu

import (
	"strings"

	"imprint/internal/tree"
)

// grub reads the menu entries of a script for GRUB, also those in submenus (grub.info, "Writing your own configuration file directly").
func (r *reader) grub(file string, b tree.Blob) {
	text, ok := r.text(file, b)
	if !ok {
		return
	}
	var e *Entry
	for words := range commands(text) {
		switch words[0] {
		case "menuentry":
			if e != nil {
				r.add(*e)
			}
			e = &Entry{File: file, Title: grubTitle(words[1:])}
		case "}":
			if e != nil && (e.Kernel != "" || e.DeviceTree != "") {
				r.add(*e)
			}
			e = nil
		case "linux", "linuxefi", "linux16", "chainloader":
			if e != nil && len(words) > 1 {
				e.Kernel, e.Cmdline = grubPath(words[1]), strings.Join(words[2:], " ")
			}
		case "initrd", "initrdefi", "initrd16":
			if e != nil {
				for _, w := range words[1:] {
					e.Initrd = append(e.Initrd, grubPath(w))
				}
			}
		case "devicetree":
			if e != nil && len(words) > 1 {
				e.DeviceTree = grubPath(words[1])
			}
		}
	}
	if e != nil && e.Kernel != "" {
		r.add(*e)
	}
}

// grubTitle is the title among the words after "menuentry", some of which are options with a value.
func grubTitle(words []string) string {
	for i := 0; i < len(words); i++ {
		switch w := words[i]; {
		case w == "--" && i+1 < len(words):
			return words[i+1]
		case w == "--unrestricted":
		case strings.HasPrefix(w, "--"):
			if !strings.Contains(w, "=") {
				i++
			}
		case w != "{":
			return w
		}
	}
	return ""
}

// grubPath is a path without the device or variable before it.
func grubPath(word string) string {
	if strings.HasPrefix(word, "(") {
		if _, path, ok := strings.Cut(word, ")"); ok {
			return path
		}
	}
	return word
}

// commands yields the commands of a script as their words: quotes are removed, and braces are words of their own (grub.info, "Shell-like
// scripting"). Variables stay as they are.
func commands(text string) func(func([]string) bool) {
	return func(yield func([]string) bool) {
		s := scanner{text: text}
		var words []string
		for {
			word, end := s.next()
			if word != nil && (*word == "}" && !s.quoted) && len(words) > 0 {
				if !yield(words) {
					return
				}
				words = nil
			}
			if word != nil {
				words = append(words, *word)
			}
			last := end || word != nil && !s.quoted && (*word == "{" || *word == "}")
			if last && len(words) > 0 {
				if !yield(words) {
					return
				}
				words = nil
			}
			if word == nil && s.at >= len(s.text) {
				return
			}
		}
	}
}

// A scanner cuts a script into words.
type scanner struct {
	text   string
	at     int
	quoted bool // the last word had quotes
}

// next returns the next word, nil for none, and whether a command ends after it.
func (s *scanner) next() (word *string, end bool) {
	for rest := s.text[s.at:]; rest != ""; rest = s.text[s.at:] {
		switch {
		case strings.IndexByte(" \t\r", rest[0]) >= 0:
			s.at++
			continue
		case strings.HasPrefix(rest, "\\\n"): // the line goes on
			s.at += 2
			continue
		}
		break
	}
	s.quoted = false
	if s.at == len(s.text) {
		return nil, true
	}
	switch s.text[s.at] {
	case '\n', ';', '&', '|':
		s.at++
		return nil, true
	case '#':
		if i := strings.IndexByte(s.text[s.at:], '\n'); i >= 0 {
			s.at += i
		} else {
			s.at = len(s.text)
		}
		return nil, true
	}
	var b strings.Builder
	for s.at < len(s.text) && strings.IndexByte(" \t\r\n;&|", s.text[s.at]) < 0 {
		s.piece(&b)
	}
	text := b.String()
	return &text, false
}

// piece reads a character of a word, or a part of it in quotes.
func (s *scanner) piece(b *strings.Builder) {
	c := s.text[s.at]
	s.at++
	switch c {
	case '\\':
		if s.at < len(s.text) {
			if s.text[s.at] != '\n' {
				b.WriteByte(s.text[s.at])
			}
			s.at++
		}
	case '\'', '"':
		s.quoted = true
		for s.at < len(s.text) && s.text[s.at] != c {
			if c == '"' && s.text[s.at] == '\\' && s.at+1 < len(s.text) {
				s.at++
			}
			b.WriteByte(s.text[s.at])
			s.at++
		}
		s.at = min(s.at+1, len(s.text))
	default:
		b.WriteByte(c)
	}
}
