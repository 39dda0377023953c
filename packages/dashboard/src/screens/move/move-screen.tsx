export const MoveScreen = () => <p>Move</p>
