# Makes a package of the directory beside this script, and installs it in the tree of the step.
dpkg-deb --root-owner-group --build /src/package /tmp/greeting.deb
dpkg --log=/dev/null -i /tmp/greeting.deb
rm /tmp/greeting.deb
