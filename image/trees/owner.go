package trees

import (
	"fmt"

	"imprint/image/description"
	"imprint/internal/accounts"
	"imprint/internal/diag"
	"imprint/internal/tree"
)

// owner returns the numbers of an owner. Names are looked up in the accounts of the tree.
func (p *making) owner(o description.Owner) (uid, gid uint32) {
	uid, gid = o.UID.V, o.GID.V
	if o.User.Written() {
		uid = p.named(o.User, "user", "/etc/passwd")
	}
	if o.Group.Written() {
		gid = p.named(o.Group, "group", "/etc/group")
	}
	return uid, gid
}

// named returns the number of a user or group. After a problem it is 0.
func (p *making) named(name description.Text, what, file string) uint32 {
	known := p.accounts[file]
	if known == nil {
		known = p.read(name.Key, file)
	}
	if p.accounts[file] = known; known == nil {
		p.problem(name.Key, fmt.Sprintf("there is no %s in the tree, so no %s has a name", file, what), "write the number instead")
		return 0
	}
	id, err := known.ID(name.V, what, file)
	if err != nil {
		p.problems = append(p.problems, name.Key.ProblemOf(err))
	}
	return id
}

// read reads a file of accounts: one that the description adds, or one of the trees. It returns nil if there is none.
func (p *making) read(key diag.Key, file string) accounts.Accounts {
	var content tree.Blob
	if n, _ := p.Follow(file); n != nil {
		content = n.Blob()
	}
	for _, d := range p.d.File.Items {
		if d.Path.V == file {
			content = p.content(d)
		}
	}
	if content == nil {
		return nil
	}
	text, err := tree.ReadAll(content, accounts.MaxSize)
	if err != nil {
		p.problems = append(p.problems, key.ProblemOf(err))
	}
	return accounts.Parse(string(text))
}
