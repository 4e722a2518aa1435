package tomlpos

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"imprint/internal/hosttest"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// positions lists every key path that Locate finds, with its line and column.
func positions(src string) map[string]string {
	all := map[string]string{}
	doc, _ := Locate(src)
	for key, n := range doc.Root.All() {
		line, col := n.Pos()
		all[key] = fmt.Sprintf("%d:%d", line, col)
	}
	delete(all, "")
	return all
}

func TestLocate(t *testing.T) {
	for name, c := range map[string]struct {
		src  string
		want map[string]string
	}{
		"tables": {
			"a = 1\n[b]\nc = 2\n  [b.d]\n  e = 3\n[ f . g ]\n",
			map[string]string{"a": "1:1", "b": "2:2", "b.c": "3:1", "b.d": "4:6", "b.d.e": "5:3", "f": "6:3", "f.g": "6:7"},
		},
		"arrays of tables": {
			"[[p]]\nx = 1\n[[p.d]]\ny = 1\n[[p.d]]\ny = 2\n[[p]]\n[[p.d]]\n[p.e]\nz = 1\n[[ p ]]",
			map[string]string{
				"p": "1:3", "p[0]": "1:3", "p[0].x": "2:1", "p[0].d": "3:5", "p[0].d[0]": "3:5", "p[0].d[0].y": "4:1", "p[0].d[1]": "5:5",
				"p[0].d[1].y": "6:1", "p[1]": "7:3", "p[1].d": "8:5", "p[1].d[0]": "8:5", "p[1].e": "9:4", "p[1].e.z": "10:1", "p[2]": "11:4",
			},
		},
		"dotted keys": {
			"a.b.c = 1\na . b . d = 2\n[x]\ny.z = 3\n",
			map[string]string{"a": "1:1", "a.b": "1:3", "a.b.c": "1:5", "a.b.d": "2:9", "x": "3:2", "x.y": "4:1", "x.y.z": "4:3"},
		},
		"quoted keys": {
			`"a b" = 1` + "\n'c.d'.e = 2\n\"f\\u00e9\\\"\" = 3\n[\"g]\"]\n\"\" = 4\n\"bare\" = 5",
			map[string]string{
				`"a b"`: "1:1", `"c.d"`: "2:1", `"c.d".e`: "2:7", `"fé\""`: "3:1", `"g]"`: "4:2", `"g]".""`: "5:1", `"g]".bare`: "6:1",
			},
		},
		"inline": {
			"a = { b = 1, c.d = [ { e = 1 }, { f = { g = 2 } } ] } # { z = 1\nh = 1",
			map[string]string{
				"a": "1:1", "a.b": "1:7", "a.c": "1:14", "a.c.d": "1:16", "a.c.d[0]": "1:22", "a.c.d[0].e": "1:24",
				"a.c.d[1]": "1:33", "a.c.d[1].f": "1:35", "a.c.d[1].f.g": "1:41", "h": "2:1",
			},
		},
		"inline on several lines": { // TOML 1.1
			"a = {\n  b = 1, # one\n  # two\n  c = 2,\n}\nd = 1",
			map[string]string{"a": "1:1", "a.b": "2:3", "a.c": "4:3", "d": "6:1"},
		},
		"arrays on several lines": {
			"a = [ # [ ]\n  'x', # ]\n\n  \"]\",\n  1979-05-27 07:32:00, [ 1,2 ],\n]\nb = [[], []]\n",
			map[string]string{
				"a": "1:1", "a[0]": "2:3", "a[1]": "4:3", "a[2]": "5:3", "a[3]": "5:24", "a[3][0]": "5:26", "a[3][1]": "5:28",
				"b": "7:1", "b[0]": "7:6", "b[1]": "7:10",
			},
		},
		"strings that look like more": {
			"a = \"x = 1 # \\\" [b]\"\nc = 'x \\' # y\nd = \"\"\"\n[e]\nf = \\\"\"\" 1\n\"\"\"\"\" # g = 1\nh = '''\n[i]\n'' '''''\nj = \"\"\nk = ''",
			map[string]string{"a": "1:1", "c": "2:1", "d": "3:1", "h": "7:1", "j": "10:1", "k": "11:1"},
		},
		"characters": {
			"\ta = 1\n# 日本\n\"é\" = { \"😀\" = 1, b = 2 }\r\nc = 3\r\n",
			map[string]string{"a": "1:2", `"é"`: "3:1", `"é"."😀"`: "3:9", `"é".b`: "3:18", "c": "4:1"},
		},
	} {
		if diff := cmp.Diff(c.want, positions(c.src)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestNodes(t *testing.T) {
	doc, err := Locate("[[a.'b.c']]\nd = [1, [2, 3]]\n\"\" = 1\n")
	if err != nil {
		t.Fatal(err)
	}
	element := doc.Root.Key("a").Key("b.c").Item(0)
	for want, n := range map[string]*Node{
		"0:0": doc.Root, "1:3": doc.Root.Key("a"), "1:5": element, "2:9": element.Key("d").Item(1), "2:13": element.Key("d").Item(1).Item(1), "3:1": element.Key(""),
	} {
		if line, col := n.Pos(); fmt.Sprintf("%d:%d", line, col) != want {
			t.Errorf("%d:%d; want %s", line, col, want)
		}
	}
	for _, n := range []*Node{doc.Root.Key("b"), doc.Root.Item(0), element.Key("d").Item(2), doc.Root.Key("b").Key("c"), doc.Root.Key("b").Item(0)} {
		if n != nil {
			t.Errorf("there is %v", n)
		}
	}
}

func TestDuplicates(t *testing.T) {
	for src, want := range map[string]string{
		"a = 1\n'a' = 2\na = 3\n": "1:1 2:1", "[a]\n[b]\n[a]\n": "1:2 3:2", "a = { b = 1, b = 2 }": "1:7 1:14", "[[a]]\n[[a]]\n": "", "[a.b]\n[a]\n[a.c]\n": "",
	} {
		doc, _ := Locate(src)
		got := ""
		if d := doc.Twice; d != nil {
			line, col := d.First.Pos()
			line2, col2 := d.Second.Pos()
			got = fmt.Sprintf("%d:%d %d:%d", line, col, line2, col2)
		}
		if got != want {
			t.Errorf("%q: %s; want %s", src, got, want)
		}
	}
}

func TestLimits(t *testing.T) {
	const deep, many = "nests deeper than 32 levels", "has more than 262144 keys and array elements"
	for _, c := range []struct {
		src  string
		line int
		want string
	}{
		{"a = " + strings.Repeat("[", 1<<20), 1, deep},
		{"a = " + strings.Repeat("{ a = ", 1<<20), 1, deep},
		{strings.Repeat("a.", 1<<20), 1, deep},
		{"[" + strings.Repeat("a.", 1<<20), 1, deep},
		{strings.Repeat("[", 32), 1, ""},
		{"a = [" + strings.Repeat("\n1,", 1<<20), 1<<18 + 1, many},
		{"a = [" + strings.Repeat("\n{},", 1<<20), 1<<18 + 1, many},
		{strings.Repeat("[[a]]\n", 1<<20), 1 << 18, many},
		{"a = [" + strings.Repeat("1,", MaxNodes-1) + "]", 0, ""},
	} {
		_, err := Locate(c.src)
		var limit *LimitError
		if errors.As(err, &limit) != (c.want != "") || limit != nil && (limit.Text != c.want || limit.Line != c.line) {
			t.Errorf("%.20s: %v; want %s in line %d", c.src, err, c.want, c.line)
		}
	}
}

// A writer writes a document of random form and knows where it put each key.
type writer struct {
	t         *rapid.T
	out       strings.Builder
	line, col int
	want      map[string]string
}

func (w *writer) write(text string) {
	w.out.WriteString(text)
	for _, c := range text {
		w.col++
		if c == '\n' {
			w.line, w.col = w.line+1, 1
		}
	}
}

func (w *writer) pick(choices ...string) { w.write(rapid.SampledFrom(choices).Draw(w.t, "text")) }

// key writes a key in one of its spellings and gives its path.
func (w *writer) key(table, name string) string {
	path := Join(table, name)
	if _, ok := w.want[path]; !ok {
		w.want[path] = fmt.Sprintf("%d:%d", w.line, w.col)
	}
	w.pick(name, `"`+name+`"`, "'"+name+"'")
	return path
}

func (w *writer) value(path string, depth int) {
	switch kind := rapid.IntRange(0, 5).Draw(w.t, "kind"); {
	case kind == 0 && depth > 0:
		w.array(path, depth)
	case kind == 1 && depth > 0:
		w.inlineTable(path, depth)
	default:
		w.pick("1", "true", "-inf", "1979-05-27 07:32:00Z", `"é # \" ]"`, `'}, x = "'`, "\"\"\"\nx = 1\n\"\"\"\"", "'''\n[a]\n'''''", `""`, "0x1f")
	}
}

func (w *writer) array(path string, depth int) {
	w.write("[")
	for i := range rapid.IntRange(0, 3).Draw(w.t, "elements") {
		w.pick("", " ", "\n  ", " # ] } \"\n")
		element := Index(path, i)
		w.want[element] = fmt.Sprintf("%d:%d", w.line, w.col)
		w.value(element, depth-1)
		w.pick(",", " ,", "\n,")
	}
	w.pick("]", " ]", "\n]")
}

func (w *writer) inlineTable(path string, depth int) {
	w.write("{")
	names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "cc", "d-d"}), 0, 3, rapid.ID).Draw(w.t, "names")
	for i, name := range names {
		if i > 0 {
			w.pick(",", " , ")
		}
		w.pick("", " ")
		key := w.key(path, name)
		w.pick("=", " = ")
		w.value(key, depth-1)
	}
	w.pick("}", " }")
}

func (w *writer) keyValues(table string, names []string) {
	for _, name := range names {
		w.pick("", "  ", "\t", "# é = 1\n", "\n")
		key := w.key(table, name)
		w.pick("=", " = ", "\t=")
		w.value(key, 3)
		w.pick("\n", " # x = 1\n", "\r\n")
	}
}

func TestLocateOfRandomDocuments(t *testing.T) {
	hosttest.Check(t, func(t *rapid.T) {
		w := &writer{t: t, line: 1, col: 1, want: map[string]string{}}
		w.keyValues("", []string{"x", "y"})
		elements := map[string]int{}
		for i := range rapid.IntRange(0, 6).Draw(t, "tables") {
			name := rapid.SampledFrom([]string{"p", "q"}).Draw(t, "array")
			w.write("[[")
			path := Index(name, elements[name])
			elements[name]++
			at := fmt.Sprintf("%d:%d", w.line, w.col)
			w.key("", name)
			w.want[path] = at
			w.write("]]\n")
			w.keyValues(path, []string{"k", fmt.Sprint("l", i)})
			w.write("[" + name + ".")
			below := w.key(path, "sub")
			w.write("]\n")
			w.keyValues(below, []string{"m"})
		}
		src := w.out.String()
		if tables, err := decode(src); err != nil {
			t.Fatalf("the document is not TOML: %v\n%s\n%v", err, src, tables)
		}
		if diff := cmp.Diff(w.want, positions(src)); diff != "" {
			t.Fatalf("(-want +got):\n%s\n%s", diff, src)
		}
	})
}

// decode is toml.Unmarshal, with a panic in it turned into an error.
func decode(src string) (tables map[string]any, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	err = toml.Unmarshal([]byte(src), &tables)
	return tables, err
}

// The decoder and the locator find the same keys.
func FuzzLocate(f *testing.F) {
	for _, src := range []string{"a = 1", "[[a]]\nb.c = [{ d = 1 }]", "a = \"\"\"\n\\\"\"\"\"\"\"", "'a' = ''''''\n\"b\\u00e9\" = 2", "a={\n}\n[b.c]\n[b]", `"\e\x80\\x" = 1`} {
		f.Add(src)
	}
	hosttest.Fuzz(f, func(t *testing.T, src string) {
		doc, limit := Locate(src)
		if limit != nil {
			return // which may well be too much for the decoder
		}
		tables, err := decode(src)
		if err != nil {
			return
		}
		var got []string
		for key := range doc.Root.All() {
			got = append(got, key)
		}
		want := pathsOf("", tables)
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-decoder +locator):\n%s", diff)
		}
	})
}

// pathsOf lists the paths of all keys and elements in a parsed document.
func pathsOf(key string, v any) []string {
	paths := []string{key}
	switch v := v.(type) {
	case map[string]any:
		for name, below := range v {
			paths = append(paths, pathsOf(Join(key, name), below)...)
		}
	case []any:
		for i, item := range v {
			paths = append(paths, pathsOf(Index(key, i), item)...)
		}
	case []map[string]any:
		for i, item := range v {
			paths = append(paths, pathsOf(Index(key, i), item)...)
		}
	}
	return paths
}
