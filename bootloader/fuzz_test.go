package bootloader

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"imprint/internal/diag"
	"imprint/internal/hosttest"
	"imprint/internal/tree"
)

// Any text as a key is refused as a mistake, or is a key to compare certificates with.
func FuzzReadKey(f *testing.F) {
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		f.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		f.Fatal(err)
	}
	text := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	pkcs1 := x509.MarshalPKCS1PrivateKey(key)
	for _, seed := range [][]byte{
		nil, text("RSA PRIVATE KEY", pkcs1), text("PRIVATE KEY", pkcs8), text("EC PRIVATE KEY", pkcs8), text("ENCRYPTED PRIVATE KEY", pkcs8),
		text("RSA PRIVATE KEY", pkcs1[:100]), text("CERTIFICATE", pkcs1), []byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"),
	} {
		f.Add(seed)
	}
	hosttest.Fuzz(f, func(t *testing.T, p []byte) {
		key, err := ReadKey(tree.Text(string(p)))
		var mistake diag.Mistake
		if err != nil {
			if !errors.As(err, &mistake) || mistake.Hint == "" || key != nil {
				t.Errorf("key %v, error %v", key, err)
			}
			return
		}
		if key.N.BitLen() > 8*maxKey {
			t.Errorf("a key of %d bits", key.N.BitLen())
		}
		if s, err := NewSigner(key, tree.Text(string(p))); err == nil && len(s.Certificates) == 0 {
			t.Error("a signer without a certificate")
		}
	})
}

// hostile are titles and command lines with characters that have a meaning to some loader.
var hostile = []string{
	"", "plain", "it's", `"`, `\`, "$x", "${x}", "#", " # x", "{", "}", ";", "&&", "|", "<", ">", "-", "--", "-- init", "a  b", " ", "é", "\u2028", "`id`", "!", "*", "?",
	"LABEL x", "KERNEL", "APPEND", "menuentry x {", "title", "%", "~", "@", "0", "entry", "one", "^x", "...", "a=b'c", "a\u00a0b", "\ufeff",
}

// Any title and command line of an entry are refused, or the loader reads back exactly these.
func FuzzMenus(f *testing.F) {
	for i, s := range hostile {
		f.Add(s, hostile[len(hostile)-1-i], uint8(i))
		f.Add(s+" "+s, s, uint8(i))
	}
	readers := map[string]func(Artifacts) []menuEntry{"grub": readGRUB, "extlinux": readLinuxMenu, "syslinux": readLinuxMenu, "systemd-boot": readType1}
	names := []string{"grub", "extlinux", "syslinux", "systemd-boot"}
	hosttest.Fuzz(f, func(t *testing.T, title, cmdline string, which uint8) {
		name := names[int(which)%len(names)]
		l, err := Named(name)
		if err != nil {
			t.Fatal(err)
		}
		if !oneLine(title) || !oneLine(cmdline) || title == "" || l.CheckTitle(title) != nil || l.CheckCmdline("x86_64", cmdline) != nil {
			return // descriptions cannot say it, or are refused
		}
		c := menuConfig(espPartition, rootPartition)
		c.Table = "gpt"
		c.Inputs["lib/systemd/boot/efi/systemd-bootx64.efi"], c.Inputs["lib/grub/x86_64-efi"] = tree.Text("EFI"), tree.Text("EFI")
		c.Entries[0].Title, c.Entries[0].Cmdline = title, Cmdline(cmdline, []string{"ttyS0"}, nil)
		a, err := l.Artifacts(c)
		if err != nil {
			t.Fatal(err)
		}
		got := readers[name](a)
		if len(got) != 2 {
			t.Fatalf("%s: title %q, command line %q: %d entries\n%s", name, title, cmdline, len(got), listing(t, a.Files))
		}
		for i, e := range c.Entries {
			if sameText(got[i].title, e.Title) && sameText(got[i].cmdline, e.Cmdline) && got[i].kernel != "" {
				continue
			}
			t.Errorf("%s: title %q, command line %q are read as %+v\n%s", name, e.Title, e.Cmdline, got[i], listing(t, a.Files))
		}
	})
}

// oneLine reports whether a description can hold a text: control characters are refused.
func oneLine(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// sameText compares two texts apart from spaces around and between words, which no kernel distinguishes.
func sameText(a, b string) bool {
	return strings.Join(strings.FieldsFunc(a, space), " ") == strings.Join(strings.FieldsFunc(b, space), " ")
}

func space(r rune) bool { return r == ' ' }

// A menuEntry is what a loader would show and start.
type menuEntry struct{ title, kernel, cmdline string }

func fileIn(a Artifacts, suffix string) string {
	for _, f := range a.Files {
		if strings.HasSuffix(f.Path, suffix) {
			p, err := tree.ReadAll(f.Content, 1<<20)
			if err != nil {
				panic(err)
			}
			return string(p)
		}
	}
	return ""
}

// readGRUB reads grub.cfg as GRUB's shell does: words, quotes, and blocks in braces (grub.info, "Shell-like scripting").
func readGRUB(a Artifacts) (list []menuEntry) {
	for line := range strings.Lines(fileIn(a, "/grub.cfg")) {
		words := grubWords(strings.TrimSuffix(line, "\n"))
		switch {
		case len(words) == 0:
		case words[0] == "menuentry" && len(words) == 6 && words[5] == "{" && words[3] == "--":
			list = append(list, menuEntry{title: words[4]})
		case words[0] == "linux" && len(list) > 0:
			list[len(list)-1].kernel = words[1]
			list[len(list)-1].cmdline = strings.Join(words[2:], " ")
		case words[0] != "search" && words[0] != "initrd" && words[0] != "set" && words[0] != "if" && words[0] != "fi" && words[0] != "}" &&
			!strings.HasPrefix(words[0], "terminal_"):
			list = append(list, menuEntry{title: "unknown command " + words[0]})
		}
	}
	return list
}

// grubWords are the words of one line. A bare word holds none of the characters that mean something.
func grubWords(line string) (words []string) {
	word, in, quoted := "", false, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quoted && c == '\'':
			quoted = false
		case quoted:
			word += string([]byte{c})
		case c == '\'':
			in, quoted = true, true
		case c == '\\' && i+1 < len(line):
			i++
			in, word = true, word+string([]byte{line[i]})
		case c == ' ':
			if in {
				words = append(words, word)
			}
			word, in = "", false
		case strings.IndexByte("\"#&|<>`*?[]~", c) >= 0:
			return []string{"bare " + string([]byte{c})}
		default:
			in, word = true, word+string([]byte{c})
		}
	}
	if quoted {
		return []string{"an open quotation"}
	}
	if in {
		words = append(words, word)
	}
	return words
}

// readLinuxMenu reads extlinux.conf or syslinux.cfg: a keyword and the rest of the line (U-Boot, boot/pxe_utils.c; SYSLINUX, com32/menu/readconfig.c).
func readLinuxMenu(a Artifacts) (list []menuEntry) {
	text := fileIn(a, "linux.conf") + fileIn(a, "syslinux.cfg")
	for line := range strings.Lines(text) {
		line = strings.TrimLeft(strings.TrimSuffix(line, "\n"), " ")
		key, rest, _ := strings.Cut(line, " ")
		if key == "MENU" {
			key, rest, _ = strings.Cut(rest, " ")
		}
		last := len(list) - 1
		switch key {
		case "LABEL":
			if strings.HasPrefix(line, "MENU") {
				list[last].title = rest
			} else {
				list = append(list, menuEntry{title: rest})
			}
		case "LINUX":
			list[last].kernel = rest
		case "APPEND":
			list[last].cmdline = rest
		case "INITRD", "DEFAULT", "TIMEOUT", "PROMPT", "UI", "SERIAL", "TITLE":
		default:
			list = append(list, menuEntry{title: "unknown keyword " + key})
		}
	}
	return list
}

// readType1 reads type 1 entries (UAPI group, "Boot Loader Specification").
func readType1(a Artifacts) (list []menuEntry) {
	for _, f := range a.Files {
		if !strings.HasPrefix(f.Path, "/loader/entries/") || !strings.HasSuffix(f.Path, ".conf") {
			continue
		}
		var e menuEntry
		for line := range strings.Lines(fileIn(Artifacts{Files: []File{f}}, f.Path)) {
			key, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			switch key {
			case "title":
				e.title = rest
			case "linux":
				e.kernel = rest
			case "options":
				e.cmdline = rest
			case "initrd", "sort-key":
			default:
				e.title = "unknown key " + key
			}
		}
		list = append(list, e)
	}
	return list
}
