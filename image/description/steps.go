package description

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"imprint/image/description/language"
	"imprint/internal/diag"
	"imprint/internal/keyed"
)

// An Argument is a program or one of its arguments: any text, such as a script.
type Argument string

// Variables are environment variables, as "NAME=value", sorted.
type Variables []string

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// ParseTOML accepts a table of texts.
func (l *Variables) ParseTOML(v any) error {
	table, ok := v.(map[string]any)
	if !ok {
		return diag.Mistake{Text: "must be a table, not " + keyed.KindOf(v), Hint: `as in env = { LANG = "C" }`}
	}
	*l = nil
	for _, name := range slices.Sorted(maps.Keys(table)) {
		value, isText := table[name].(string)
		switch {
		case !variableName.MatchString(name):
			return diag.Mistake{Text: fmt.Sprintf("%.80q is not the name of a variable", name), Hint: "letters, digits and _ are allowed"}
		case !isText:
			return diag.Mistake{Text: fmt.Sprintf("the variable %s is %s, not text", name, keyed.KindOf(table[name])), Hint: "put it in quotation marks"}
		case strings.ContainsRune(value, 0):
			return diag.Mistake{Text: fmt.Sprintf("the variable %s contains a NUL byte", name)}
		}
		*l = append(*l, name+"="+value)
	}
	return nil
}

// FindStep returns the step with a name, nil if there is none.
func (d *Image) FindStep(name string) *Step {
	for i := range d.Step.Items {
		if s := &d.Step.Items[i]; s.Name.V == name {
			return s
		}
	}
	return nil
}

// steps checks the steps, and that layers name them.
func (c *checker) steps() {
	names, used := unique{}, map[string]bool{}
	var known []string
	for i := range c.d.Step.Items {
		s := &c.d.Step.Items[i]
		c.unique(names, s.Name.Key, s.Name.V, "the name")
		known = append(known, s.Name.V)
		c.step(s)
	}
	for i := range c.d.Partition.Items {
		for _, l := range c.d.Partition.Items[i].Layer.Items {
			used[l.Step.V] = true
			if l.Step.V != "" && !slices.Contains(known, l.Step.V) {
				if err := c.absent("step", l.Step.V, known); err != nil {
					c.ReportError(l.Step.Key, err)
				}
			}
		}
	}
	for _, s := range c.d.Step.Items {
		if s.Name.V != "" && !used[s.Name.V] {
			c.Report(s.Key, fmt.Sprintf("no layer has the step %q", s.Name.V), fmt.Sprintf("add a [[partition.layer]] with step = %q where it belongs", s.Name.V))
		}
	}
}

// step checks one step.
func (c *checker) step(s *Step) {
	if s.Run.Written() && len(s.Run.Items) == 0 {
		c.Report(s.Run.Key, "is empty", "name a program")
	}
	for i, word := range s.Run.Items {
		switch {
		case i == 0 && word.V == "":
			c.Report(word.Key, "is empty", "name a program")
		case strings.ContainsRune(string(word.V), 0):
			c.Report(word.Key, fmt.Sprintf("%.80q contains a NUL byte", word.V), "")
		}
	}
	c.named(s.Name, "a step")
	for _, who := range []Text{s.User, s.Group} {
		if who.V != "" && !userName.MatchString(who.V) {
			c.Report(who.Key, fmt.Sprintf("%q is neither the name of an account nor a number", who.V), "")
		}
	}
	if s.Group.Written() && !s.User.Written() {
		c.Report(s.Group.Key, "is for a step with user", "add user, or remove it")
	}
	places, caches := unique{}, unique{}
	for _, in := range s.Inputs.Items {
		c.place(places, in.Target)
	}
	for _, cache := range s.Cache.Items {
		c.place(places, cache.Target)
		c.named(cache.Name, "a cache")
		c.unique(caches, cache.Name.Key, cache.Name.V, "the cache")
	}
	for _, out := range s.Outputs.Items {
		c.absolute(out)
	}
	c.absolute(s.Directory)
}

var (
	stepName = regexp.MustCompile(language.LayerNameForm)
	userName = regexp.MustCompile(language.UserForm)
)

// named checks a name in the build store.
func (c *checker) named(t Text, what string) {
	if t.V != "" && !stepName.MatchString(t.V) {
		c.Report(t.Key, fmt.Sprintf("%q is not a name of %s", t.V, what), "use a-z A-Z 0-9 . _ + -")
	}
}

// place checks where a step gets something: not where something else of it is.
func (c *checker) place(taken unique, t Text) {
	c.absolute(t)
	for _, own := range []string{"/proc", "/dev"} {
		if t.V == own || strings.HasPrefix(t.V, own+"/") {
			c.Report(t.Key, fmt.Sprintf("%q is in %s, which every step has of its own", t.V, own), "choose another path")
		}
	}
	if t.V == "/" {
		c.Report(t.Key, `"/" is the tree itself`, "choose a directory in it")
	}
	c.unique(taken, t.Key, t.V, "the target")
}
