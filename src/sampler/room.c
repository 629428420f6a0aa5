typedef int ex_room_is_empty;
