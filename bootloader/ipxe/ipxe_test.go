package ipxe

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"imprint/internal/hosttest"

	"github.com/google/go-cmp/cmp"
)

func TestScript(t *testing.T) {
	entries := []Entry{
		{ID: "old", Title: "Old; ${it} # is \\", Kernel: "old.kernel", Cmdline: "root=LABEL=x  quiet -- single"},
		{ID: "set", Title: "A setting", Kernel: "set.kernel", Cmdline: "x=${y}"},
		{ID: "new", Title: "-- New", Kernel: "new.kernel", Initrds: []string{"new.initrd", "more"}},
	}
	want := `#!ipxe
# A setting is not in this menu: its command line has ${, which is for settings
set entry start-new
:menu
menu the image
item start-old Old; $ {it} _# is 
item start-new _-- New
choose --default ${entry} --timeout 5000 entry && goto ${entry} || shell

:start-old
kernel old.kernel root=LABEL=x  quiet -- single
boot || goto menu

:start-new
kernel new.kernel initrd=new.initrd initrd=more
initrd new.initrd
initrd more
boot || goto menu
`
	if diff := cmp.Diff(want, Script("the image", entries, 2, 5)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if at := Script("x", entries, 2, 0); !strings.Contains(at, "\nset entry start-new\ngoto ${entry}\n") {
		t.Errorf("without a timeout:\n%s", at)
	}
	if at := Script("x", entries, 1, 0); strings.Contains(at, "\ngoto ${entry}\n") {
		t.Errorf("with a default that is left out:\n%s", at)
	}
}

func TestChanges(t *testing.T) {
	for line, changes := range map[string]bool{
		"": false, "a=b c": false, "a;b a||b a#b": false, "a $x {y}": false, `a\b`: false,
		"a ; b": true, "a || b": true, "&&": true, "x #y": true, "a${b": true, `a\`: true, `a\ `: true, "a\tb": true,
	} {
		if why := Changes(line); (why != "") != changes {
			t.Errorf("%q: %s", line, why)
		}
	}
}

// A parsed script is the commands of each label, as iPXE splits them (its manual, "Scripting").
func parsed(t *testing.T, script string) map[string][][]string {
	commands, at := map[string][][]string{}, ""
	for line := range strings.Lines(script) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasSuffix(line, `\`) {
			t.Errorf("%q continues in the next line", line)
		}
		if label, ok := strings.CutPrefix(line, ":"); ok {
			at = label
			if commands[at] != nil {
				t.Errorf("two labels %q", at)
			}
		}
		fields := strings.Fields(line)
		if i := slices.IndexFunc(fields, func(w string) bool { return strings.HasPrefix(w, "#") }); i >= 0 {
			fields = fields[:i]
		}
		commands[at] = append(commands[at], fields)
	}
	return commands
}

// FuzzScript gives any titles and command lines to the script: what is in it is the command line as it is, and nothing else is a command.
func FuzzScript(f *testing.F) {
	f.Add("title", "root=x ; reboot", int64(3))
	f.Add("${x} && reboot", "a\nreboot", int64(0))
	f.Add("#", "", int64(1))
	hosttest.Fuzz(f, func(t *testing.T, title, cmdline string, timeout int64) {
		if timeout < 0 || timeout > 1<<16 {
			return
		}
		script := Script(title, []Entry{{ID: "a", Title: title, Kernel: "a.kernel", Initrds: []string{"a.initrd"}, Cmdline: cmdline}}, 0, timeout)
		got := parsed(t, script)
		if Changes(cmdline) != "" {
			if got["start-a"] != nil {
				t.Errorf("%q is in the menu", cmdline)
			}
			return
		}
		want := append([]string{"kernel", "a.kernel", "initrd=a.initrd"}, strings.Fields(cmdline)...)
		if fmt.Sprint(got["start-a"][1]) != fmt.Sprint(want) || len(got["start-a"]) != 4 {
			t.Errorf("%q becomes %q", cmdline, got["start-a"])
		}
		for _, command := range slices.Concat(got[""], got["menu"]) {
			if len(command) > 0 && !slices.Contains([]string{"set", "goto", ":menu", "menu", "item", "choose"}, command[0]) {
				t.Errorf("%q has the command %q", script, command)
			}
			if len(command) > 0 && command[0] != "choose" && slices.ContainsFunc(command, func(w string) bool { return w == "||" || w == "&&" || w == ";" }) {
				t.Errorf("%q has two commands in a line: %q", script, command)
			}
		}
	})
}
